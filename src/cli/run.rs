//! `night-sweep run`: any experiment from the one binary.
//!
//! Criterion reads the arguments of its process itself, so an experiment gets a process whose
//! arguments are Criterion's: this program again, told by a variable which bench to be.

use super::device::{device, is_cpu};
use crate::process::child::RUN_BENCH;
use crate::process::signals::{STOPPED, Signals};
use crate::run::env::executable;
use crate::run::settings::VARIABLES;
use crate::spec::{Experiment, Source, Spec};
use anyhow::{Context, Result, ensure};
use clap::{Arg, ArgMatches, Args, FromArgMatches, value_parser};
use rustix::process::{Pid, kill_process};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

const HELP: &str = "\
Each flag is the environment variable of a bench, NIGHT_SWEEP_DEVICE say, and wins over it. The
default specs are built in. Several experiments run one after the other; the exit code is that of
the first that did not end with 0. A signal that stops one stops them all.
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
    let experiments: Vec<&Experiment> = match arguments.all {
        true => spec.experiments().collect(),
        false => {
            arguments.names.iter().map(|name| spec.experiment(name)).collect::<Result<_, _>>()?
        }
    };
    let is_named = given("NIGHT_SWEEP_RUN_ID").or(given("NIGHT_SWEEP_RESUME")).is_some();
    ensure!(
        !is_named || experiments.len() == 1,
        "--run-id and --resume name one run: give one experiment"
    );
    if let [experiment] = experiments[..] {
        let error = command(arguments, experiment)?.exec();
        return Err(error).context("cannot start this program again");
    }
    // Heard from before the first child is there, so that none is left alone.
    let signals = Signals::listen()?;
    let mut code = 0;
    for experiment in experiments {
        let mut command = command(arguments, experiment)?;
        // Of a group of its own: a terminal's Ctrl-C reaches it once, through us.
        let child = command.process_group(0).spawn().context("cannot start this program again")?;
        let status = wait(child, &signals)?;
        let ended = status.code().map_or(1, |code| code as u8);
        code = if code == 0 { ended } else { code };
        if STOPPED.contains(&ended) || status.code().is_none() {
            break;
        }
    }
    Ok(code)
}

/// This program, as the bench of an experiment.
fn command(arguments: &RunArgs, experiment: &Experiment) -> Result<Command> {
    let mut command = Command::new(executable()?);
    command
        .arg0("night-sweep")
        .arg("--bench")
        .args(&arguments.criterion)
        .env(RUN_BENCH, experiment.bench_target())
        .env("NIGHT_SWEEP_EXPERIMENT", &experiment.name);
    command.envs(&arguments.settings.0);
    Ok(command)
}

/// Waits for a process; the signals that come are handed on to it.
fn wait(mut child: Child, signals: &Signals) -> Result<ExitStatus> {
    loop {
        if let Some(signal) = signals.take() {
            // It may have ended this moment; that is seen below.
            let _ = kill_process(Pid::from_child(&child), signal);
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
