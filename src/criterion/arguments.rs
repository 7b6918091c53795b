//! Criterion's command line, as far as the suite has to know it.
//!
//! Criterion parses its arguments itself, keeps them private, and panics at some values. So they
//! are read here first, by its own rules: its filter and mode tell which cases to prepare. What it
//! would take and then ignore is refused, and so is every value that it would not survive.

use crate::journal::home::criterion_home;
use crate::journal::runs::run_id;
use crate::terminal::{has_colours, print};
use crate::workload::case::Case;
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind, value_parser};
use regex::Regex;
use std::ops::RangeInclusive;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    List,
    Test,
    /// Launch each case for so long.
    Profile(Duration),
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
    has_color_option: bool,
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

const QUICKLY: &str = "NIGHT_SWEEP_PROTOCOL=adaptive makes a quick run of two short trials, and \
                       --test launches each case once";

/// Criterion's own statistics take a second a case with 100,000, and memory for each.
const RESAMPLES: RangeInclusive<u64> = 100..=1_000_000;

const PROFILE_S: RangeInclusive<f64> = 1.0..=86_400.0;

/// Criterion's options of a number, the least and the largest value, and what it is.
const NUMBERS: [(&str, RangeInclusive<f64>, &str); 4] = [
    ("profile-time", PROFILE_S, "Launch each case for so many seconds, for a profiler"),
    ("noise-threshold", 1e-9..=1e9, "The least change that Criterion calls one, 0.01 is 1 %"),
    ("confidence-level", 0.001..=0.999_999, "Of Criterion's intervals, 0.95 is 95 %"),
    ("significance-level", 1e-9..=0.999_999, "Of Criterion's test for a change, 0.05 is 5 %"),
];

const BASELINES: [&str; 4] = ["save-baseline", "baseline", "baseline-lenient", "load-baseline"];

impl Arguments {
    /// Reads the process's arguments; none if they only ask for help, which is then printed.
    pub fn from_process() -> Result<Option<Self>> {
        let arguments = std::env::args_os().map(|argument| {
            argument.into_string().map_err(|argument| anyhow!("{argument:?} is not UTF-8"))
        });
        let arguments = arguments.collect::<Result<Vec<String>>>()?;
        let help = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
        match command().try_get_matches_from(&arguments) {
            Ok(matches) => Self::of(&matches).map(Some),
            Err(asked) if help.contains(&asked.kind()) => {
                print(&asked.render().to_string())?;
                Ok(None)
            }
            Err(error) => Err(in_one_line(&error)),
        }
    }

    fn of(matches: &ArgMatches) -> Result<Self> {
        let flag = |name: &str| matches.get_flag(name);
        let value = |name: &str| matches.get_one::<String>(name);
        for (name, reason) in REFUSED {
            let given = if name == "quick" { flag(name) } else { value(name).is_some() };
            let quickly =
                if name == "plotting-backend" { String::new() } else { format!("; {QUICKLY}") };
            ensure!(!given, "--{name} has no place here: {reason}{quickly}");
        }
        for option in BASELINES {
            let Some(name) = value(option) else { continue };
            run_id(name).map_err(|allowed| anyhow!("--{option} {name:?}: allowed is {allowed}"))?;
            let taken = option == "save-baseline" && ["new", "change"].contains(&name.as_str());
            ensure!(!taken, "--save-baseline {name}: Criterion keeps files of its own there");
            ensure!(
                name != "change",
                "--{option} change: what Criterion keeps there is no baseline"
            );
        }
        for (name, allowed, _) in &NUMBERS {
            let (least, most) = (allowed.start(), allowed.end());
            let fits = matches.get_one::<f64>(name).is_none_or(|value| allowed.contains(value));
            ensure!(fits, "--{name}: allowed are {least} to {most}");
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
        } else if let Some(&seconds) = matches.get_one::<f64>("profile-time") {
            Mode::Profile(Duration::from_secs_f64(seconds))
        } else if value("load-baseline").is_some() {
            Mode::Load
        } else {
            Mode::Measure
        };
        let required = ["load-baseline", "baseline"].into_iter().filter_map(value);
        Ok(Arguments {
            mode,
            filter,
            has_color_option: value("color").is_some(),
            required_baselines: required.cloned().collect(),
        })
    }

    /// Whether Criterion's words are coloured; none if its own option says so.
    pub fn has_colours(&self) -> Option<bool> {
        (!self.has_color_option).then(has_colours)
    }

    /// Whether only ignored benchmarks are asked for, of which there are none.
    pub fn selects_nothing(&self) -> bool {
        matches!(self.filter, Filter::Nothing)
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

/// Criterion's options by Criterion's rules: those that nobody needs to know of are hidden.
fn command() -> Command {
    let option = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    let flag = |name, help| option(name, help).action(ArgAction::SetTrue);
    let baseline = |name, help| option(name, help).value_name("NAME");
    let number = |(name, _, help): &(&'static str, RangeInclusive<f64>, &'static str)| {
        let number = option(name, help).value_name("NUMBER").allow_negative_numbers(true);
        number.value_parser(value_parser!(f64))
    };
    let of_libtest = ["nocapture", "show-output", "include-ignored"];
    let refused = REFUSED.iter().filter(|(name, _)| *name != "quick");
    Command::new("night-sweep")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A bench of Night Sweep. Its arguments are Criterion's.")
        .after_help(format!(
            "The spec decides how much is measured: --quick, --sample-size, --warm-up-time and \
             --measurement-time are refused. {QUICKLY}. `night-sweep --help` lists the variables \
             that steer a bench."
        ))
        .arg(Arg::new("FILTER").help("Only the cases whose id matches this regular expression"))
        .arg(flag("exact", "The filter is an id as it is"))
        .arg(
            flag("list", "Print the ids of the cases").conflicts_with_all(["test", "profile-time"]),
        )
        .arg(
            option("format", "How to print them: the same either way")
                .value_parser(["pretty", "terse"]),
        )
        .arg(flag("test", "Launch each case once, and keep nothing").conflicts_with("profile-time"))
        .arg(
            baseline("save-baseline", "Keep the times in Criterion's files by this name")
                .short('s'),
        )
        .arg(
            baseline("baseline", "Compare with what was saved so; each case has to be there")
                .short('b')
                .conflicts_with("save-baseline"),
        )
        .arg(
            baseline("baseline-lenient", "The same for the cases that are there")
                .conflicts_with_all(["save-baseline", "baseline"]),
        )
        .arg(
            baseline("load-baseline", "Compare what was saved so instead of measuring")
                .conflicts_with("profile-time")
                .requires("baseline"),
        )
        .arg(flag("discard-baseline", "Leave no times in Criterion's files").conflicts_with_all([
            "save-baseline",
            "baseline",
            "baseline-lenient",
        ]))
        .args(NUMBERS.iter().map(number))
        .arg(
            option("nresamples", "Of Criterion's own statistics")
                .value_name("NUMBER")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(u64).range(RESAMPLES)),
        )
        .arg(
            option("color", "Whether Criterion's words are coloured")
                .short('c')
                .alias("colour")
                .value_parser(["auto", "always", "never"]),
        )
        .arg(option("output-format", "How Criterion prints").value_parser(["criterion", "bencher"]))
        .arg(flag("verbose", "Print more of Criterion's statistics").short('v'))
        .arg(flag("quiet", "Print fewer").conflicts_with("verbose"))
        .arg(flag("ignored", "Only what is ignored: nothing"))
        .arg(flag("noplot", "").short('n').hide(true))
        .arg(flag("bench", "").hide(true))
        .arg(flag("quick", "").hide(true))
        .args(of_libtest.map(|name| flag(name, "").hide(true)))
        .args(refused.map(|(name, _)| option(name, "").allow_hyphen_values(true).hide(true)))
}

/// Clap's error without its usage and its tips.
fn in_one_line(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let said = text.split("\n\n").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let words: Vec<&str> = said.split('\n').map(str::trim).collect();
    anyhow!("{} (`--help` lists what there is)", words.join(" "))
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
        match command().try_get_matches_from(words) {
            Ok(matches) => Arguments::of(&matches),
            Err(error) => Err(in_one_line(&error)),
        }
    }

    #[test]
    fn the_mode_is_criterions() {
        for (line, mode) in [
            ("--bench", Mode::Measure),
            ("", Mode::Test),
            ("--bench --test", Mode::Test),
            ("--bench --list --format terse", Mode::List),
            ("--bench --profile-time 2", Mode::Profile(Duration::from_secs(2))),
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
