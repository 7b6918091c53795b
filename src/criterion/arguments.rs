//! Criterion's command line, as far as the suite has to know it.
//!
//! Criterion parses its arguments itself and keeps them private: its filter and mode are read here
//! a second time, to know which cases to prepare. What Criterion would take and then ignore is
//! refused.

use crate::journal::home::criterion_home;
use crate::journal::runs::run_id;
use crate::workload::case::Case;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Arg, ArgAction, Command};
use criterion::Criterion;
use regex::Regex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    List,
    Test,
    Profile,
    /// Analyse a saved baseline again, without measuring.
    Load,
    Measure,
}

impl Mode {
    pub fn launches_nothing(self) -> bool {
        matches!(self, Mode::List | Mode::Load)
    }
}

#[derive(Debug)]
pub struct Arguments {
    pub mode: Mode,
    filter: Filter,
    /// The baselines that every case has to have: those of `--load-baseline` and `--baseline`.
    pub required_baselines: Vec<String>,
}

#[derive(Debug)]
enum Filter {
    All,
    Matching(Regex),
    Exactly(String),
    Nothing,
}

/// Options of Criterion's that would have no effect: the spec decides.
const REFUSED: [(&str, &str); 5] = [
    ("plotting-backend", "the report has its own plots"),
    ("quick", "it takes one launch a sample"),
    ("sample-size", "the spec's `measure` and `trials` decide"),
    ("measurement-time", "the spec's `measure` and `trials` decide"),
    ("warm-up-time", "the spec's `warmup` decides"),
];

impl Arguments {
    /// Reads the process's arguments. A wrong one ends the process here, with Criterion's own
    /// message and code 2.
    pub fn from_process() -> Result<Self> {
        let arguments = std::env::args_os().map(|argument| {
            argument.into_string().map_err(|argument| anyhow!("{argument:?} is not UTF-8"))
        });
        let arguments = arguments.collect::<Result<Vec<String>>>()?;
        let read = Self::parse(&arguments)?;
        let _checked = Criterion::default().configure_from_args();
        Ok(read)
    }

    fn parse(arguments: &[String]) -> Result<Self> {
        // All of Criterion's, the hidden ones too: parsing ends at the first unknown one.
        let flags = "verbose noplot version list test bench exact ignored include-ignored quick \
                     quiet discard-baseline nocapture show-output";
        let options = "save-baseline baseline color baseline-lenient load-baseline format \
                       profile-time sample-size warm-up-time measurement-time nresamples \
                       noise-threshold confidence-level significance-level plotting-backend \
                       output-format";
        let short = |name| match name {
            "version" => Some('V'),
            "verbose" | "noplot" | "save-baseline" | "baseline" | "color" => name.chars().next(),
            _ => None,
        };
        let named = |name: &'static str| Arg::new(name).long(name).short(short(name));
        let command = Command::new("bench")
            .ignore_errors(true)
            .disable_help_flag(true)
            .arg(Arg::new("FILTER"))
            .args(flags.split(' ').map(|name| named(name).action(ArgAction::SetTrue)))
            .args(options.split(' ').map(named))
            .mut_arg("color", |color| color.alias("colour"));
        let matches = command.get_matches_from(arguments);
        let flag = |name: &str| matches.get_flag(name);
        let value = |name: &str| matches.get_one::<String>(name);

        for (name, reason) in REFUSED {
            let given = if name == "quick" { flag(name) } else { value(name).is_some() };
            ensure!(!given, "--{name} has no place here: {reason}");
        }
        for option in ["save-baseline", "baseline", "baseline-lenient", "load-baseline"] {
            let Some(name) = value(option) else { continue };
            run_id(name).map_err(|allowed| anyhow!("--{option} {name:?}: allowed is {allowed}"))?;
            let taken = option == "save-baseline" && ["new", "change"].contains(&name.as_str());
            ensure!(!taken, "--save-baseline {name}: Criterion keeps files of its own there");
            ensure!(
                name != "change",
                "--{option} change: what Criterion keeps there is no baseline"
            );
        }
        let filter = match value("FILTER") {
            _ if flag("ignored") => Filter::Nothing,
            None => Filter::All,
            Some(exact) if flag("exact") => Filter::Exactly(exact.clone()),
            Some(pattern) => Filter::Matching(
                Regex::new(pattern)
                    .with_context(|| format!("the filter {pattern:?} is no regular expression"))?,
            ),
        };
        let mode = if flag("list") {
            Mode::List
        } else if flag("test") || !flag("bench") {
            // As `cargo test --benches` runs it: without --bench.
            Mode::Test
        } else if value("profile-time").is_some() {
            Mode::Profile
        } else if value("load-baseline").is_some() {
            Mode::Load
        } else {
            Mode::Measure
        };
        let required = ["load-baseline", "baseline"].into_iter().filter_map(value);
        Ok(Arguments { mode, filter, required_baselines: required.cloned().collect() })
    }

    pub fn selects(&self, id: &str) -> bool {
        match &self.filter {
            Filter::All => true,
            Filter::Matching(pattern) => pattern.is_match(id),
            Filter::Exactly(exact) => exact == id,
            Filter::Nothing => false,
        }
    }
}

/// Refuses a baseline that a case does not have. Criterion would panic at the first of them, with
/// everything measured.
pub fn require(cases: &[Case], baseline: &str) -> Result<()> {
    let home = criterion_home();
    let has = |case: &&Case| home.join(&case.id).join(baseline).is_dir();
    let missing: Vec<&Case> = cases.iter().filter(|case| !has(case)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let how = match baseline {
        // Criterion's own, which no option names.
        "new" => "run the bench once without these options, which makes it".to_owned(),
        _ => format!(
            "save it first with `-- --save-baseline {baseline}`, or compare what there is with \
             `--baseline-lenient {baseline}`"
        ),
    };
    bail!(
        "{} of {} cases have no baseline {baseline:?} ({} is one): {how}",
        missing.len(),
        cases.len(),
        first.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        let words: Vec<String> =
            ["bench"].into_iter().chain(line.split_whitespace()).map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn the_mode_is_criterions() {
        for (line, mode) in [
            ("--bench", Mode::Measure),
            ("", Mode::Test),
            ("--bench --test", Mode::Test),
            ("--bench --list --format terse", Mode::List),
            ("--bench --profile-time 2", Mode::Profile),
            ("--bench --load-baseline a --baseline b", Mode::Load),
            ("--bench --save-baseline list", Mode::Measure),
        ] {
            assert_eq!(parse(line).unwrap().mode, mode, "{line}");
        }
    }

    #[test]
    fn the_filter_is_criterions() {
        let by = |line: &str, id: &str| parse(line).unwrap().selects(id);
        assert!(by("--bench", "S1/x/d107"));
        assert!(by("--bench d1.7", "S1/x/d107") && !by("--bench d1.7", "S1/x/d64"));
        assert!(by("K107 --bench -s main", "G3/x/K107"));
        assert!(by("--exact G3/x/K10", "G3/x/K10") && !by("--exact G3/x/K10", "G3/x/K107"));
        assert!(!by("--ignored", "S1/x/d107"));
    }
}
