//! Criterion's command line, as far as the suite has to know it.
//!
//! Criterion parses its arguments itself and keeps them private: its filter and mode are read here
//! a second time, to know which cases to prepare. What Criterion would take and then ignore is
//! refused.

use crate::journal::runs::run_id;
use anyhow::{Context, Result, anyhow, ensure};
use clap::{Arg, ArgAction, Command};
use criterion::Criterion;
use regex::Regex;

/// What Criterion will do with the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Print the ids.
    List,
    /// Launch each case once.
    Test,
    /// Launch each case for a given time.
    Profile,
    /// Analyse a saved baseline again, without measuring.
    Load,
    /// Measure.
    Measure,
}

/// Which cases, and what to do with them.
#[derive(Debug)]
pub struct Arguments {
    /// What to do.
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
    ///
    /// # Errors
    /// An option that would have no effect, or a filter that is no regular expression.
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
        let flags = [
            ("verbose", 'v'),
            ("noplot", 'n'),
            ("version", 'V'),
            ("list", ' '),
            ("test", ' '),
            ("bench", ' '),
            ("exact", ' '),
            ("ignored", ' '),
            ("include-ignored", ' '),
            ("quick", ' '),
            ("quiet", ' '),
            ("discard-baseline", ' '),
            ("nocapture", ' '),
            ("show-output", ' '),
        ];
        let options = [
            ("save-baseline", 's'),
            ("baseline", 'b'),
            ("color", 'c'),
            ("baseline-lenient", ' '),
            ("load-baseline", ' '),
            ("format", ' '),
            ("profile-time", ' '),
            ("sample-size", ' '),
            ("warm-up-time", ' '),
            ("measurement-time", ' '),
            ("nresamples", ' '),
            ("noise-threshold", ' '),
            ("confidence-level", ' '),
            ("significance-level", ' '),
            ("plotting-backend", ' '),
            ("output-format", ' '),
        ];
        let mut command = Command::new("bench")
            .ignore_errors(true)
            .disable_help_flag(true)
            .arg(Arg::new("FILTER"));
        let named = |(name, short): (&'static str, char)| {
            let argument = Arg::new(name).long(name);
            if short == ' ' { argument } else { argument.short(short) }
        };
        command = command.args(flags.map(|flag| named(flag).action(ArgAction::SetTrue)));
        command = command.args(options.map(named)).mut_arg("color", |color| color.alias("colour"));
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

    /// Whether Criterion will run the case of this id.
    pub fn selects(&self, id: &str) -> bool {
        match &self.filter {
            Filter::All => true,
            Filter::Matching(pattern) => pattern.is_match(id),
            Filter::Exactly(exact) => exact == id,
            Filter::Nothing => false,
        }
    }
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

    #[test]
    fn no_flag_of_criterions_hides_what_follows() {
        for flag in [
            "-v",
            "-n",
            "--discard-baseline",
            "--nocapture",
            "--show-output",
            "--include-ignored",
            "--colour always",
        ] {
            let read = parse(&format!("--bench {flag} --list K10")).unwrap();
            assert!(read.mode == Mode::List && !read.selects("G3/x/K8"), "{flag}");
        }
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for line in [
            "--quick",
            "--sample-size 50",
            "--warm-up-time 1",
            "--measurement-time=3",
            "--plotting-backend plotters",
            "--save-baseline new",
            "--save-baseline ../x",
            "--baseline=",
            "d(1",
        ] {
            assert!(parse(&format!("--bench {line}")).is_err(), "{line}");
        }
    }
}
