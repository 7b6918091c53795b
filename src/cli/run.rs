//! `night-sweep run`: any experiment from the one binary.
//!
//! Criterion reads the arguments of its process itself, so this becomes a process whose arguments
//! are Criterion's: this program again, told by variables to be a bench, and of which experiments.

use super::device::{device, is_cpu};
use crate::process::child::{RUN_BENCH, RUN_LIST};
use crate::process::executable::this_program;
use crate::run::list::List;
use crate::run::settings::VARIABLES;
use crate::spec::{Experiment, Source, Spec};
use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Args, FromArgMatches, value_parser};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const HELP: &str = "\
Each flag is the environment variable of a bench, NIGHT_SWEEP_DEVICE say, and wins over it. The
default specs are built in. Several experiments run one after the other in one process, which opens
the device, loads PyTorch and calibrates once; each is a run with a report of its own. The exit code
is that of the first that did not end with 0. A signal that stops one stops them all.
What follows `--` goes to Criterion: a filter, --list, --test, --save-baseline NAME, --baseline
NAME.";

/// A flag for each variable that steers a bench, but for the experiment, which has no flag.
struct Flags(HashMap<&'static str, OsString>);

fn flags() -> impl Iterator<Item = Arg> {
    let variables = VARIABLES.into_iter().filter(|(name, ..)| *name != "NIGHT_SWEEP_EXPERIMENT");
    variables.map(|(name, takes, does)| {
        let long = name["NIGHT_SWEEP_".len()..].to_lowercase().replace('_', "-");
        let flag = Arg::new(name).long(long).value_name("VALUE").help(format!("{does} ({takes})"));
        let flag = flag.value_parser(value_parser!(OsString));
        // These decide here already which entries there are.
        if ["NIGHT_SWEEP_DEVICE", "NIGHT_SWEEP_SPEC"].contains(&name) {
            flag.env(name)
        } else {
            flag
        }
    })
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(flags())
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.args(flags())
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |(name, ..): (&'static str, &str, &str)| {
            let value = matches.try_get_one::<OsString>(name).ok()??;
            Some((name, value.clone()))
        };
        Ok(Flags(VARIABLES.into_iter().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Run experiments of a spec, one after the other.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct RunArgs {
    /// Entries of the spec, as S1_sdpa_dense_sweep; `night-sweep list` shows them.
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// Every entry of the spec.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    settings: Flags,
    /// Criterion's arguments.
    #[arg(last = true)]
    criterion: Vec<String>,
}

pub fn run(arguments: &RunArgs) -> Result<u8> {
    let given = |name| arguments.settings.0.get(name);
    let named =
        given("NIGHT_SWEEP_DEVICE").map_or("auto".into(), |device| device.to_string_lossy());
    let is_cpu = is_cpu(device(&named)?);
    let spec = Spec::of(&Source::of(given("NIGHT_SWEEP_SPEC").map(Path::new), is_cpu)?)?;
    spec.runnable()?;
    let experiments: Vec<&Experiment> = match arguments.all {
        true => {
            spec.say_other_types();
            spec.experiments().collect()
        }
        false => {
            arguments.names.iter().map(|name| spec.experiment(name)).collect::<Result<_, _>>()?
        }
    };
    let bench = experiments.first().map(|first| first.bench_target()).unwrap_or_default();
    let error = Command::new(this_program()?)
        .arg0("night-sweep")
        .arg("--bench")
        .args(&arguments.criterion)
        .env_remove("NIGHT_SWEEP_EXPERIMENT")
        .envs(&arguments.settings.0)
        .env(RUN_BENCH, bench)
        .env(RUN_LIST, List::of(experiments, 0).to_json())
        .exec();
    Err(error).context("cannot start this program again")
}
