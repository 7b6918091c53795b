//! `night-sweep run`: any experiment from the one binary.
//!
//! Criterion reads the arguments of its process itself, so an experiment gets a process whose
//! arguments are Criterion's: this program again, told by a variable which bench to be.

use super::{device, is_cpu};
use crate::process::child::RUN_BENCH;
use crate::process::signals::{STOPPED, Signals};
use crate::run::env::executable;
use crate::spec::{Experiment, Source, Spec};
use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

const HELP: &str = "\
Each flag is the environment variable of a bench, NIGHT_SWEEP_DEVICE say, and wins over it. The default specs are built
in. Several experiments run one after the other; the exit code is that of the first that did not end with 0. A signal
that stops one stops them all.
What follows `--` goes to Criterion: a filter, --list, --test, --save-baseline NAME, --baseline NAME.";

/// `night-sweep run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub struct RunArgs {
    /// Entries of the spec, as S1_sdpa_dense_sweep; `night-sweep list` shows them.
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// Every entry of the spec.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Where to measure: auto, cpu, cuda, cuda:N.
    #[arg(long, env = "NIGHT_SWEEP_DEVICE", default_value = "auto")]
    device: String,
    /// A spec; default: the built-in one for this device.
    #[arg(long, env = "NIGHT_SWEEP_SPEC")]
    spec: Option<PathBuf>,
    /// Name of the run; with one experiment only.
    #[arg(long)]
    run_id: Option<String>,
    /// Where runs are reported.
    #[arg(long)]
    results_root: Option<PathBuf>,
    /// The run to go on with; with one experiment only.
    #[arg(long)]
    resume: Option<String>,
    /// One of n parts of the sweep, as 1/4.
    #[arg(long)]
    shard: Option<String>,
    /// standard or adaptive.
    #[arg(long)]
    protocol: Option<String>,
    /// Seconds that the GPU is worked at most until its clock is steady.
    #[arg(long)]
    burn_in: Option<String>,
    /// Seed of the data and of the order of cases.
    #[arg(long)]
    seed: Option<String>,
    /// yes or no: whether a run ends with its report.
    #[arg(long)]
    report: Option<String>,
    /// A fault to inject.
    #[arg(long)]
    fault: Option<String>,
    /// Criterion's arguments.
    #[arg(last = true)]
    criterion: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &RunArgs) -> Result<u8> {
    let is_cpu = is_cpu(device(&arguments.device)?);
    let spec = Spec::of(&Source::of(arguments.spec.as_deref(), is_cpu)?)?;
    let experiments: Vec<&Experiment> = match arguments.all {
        true => spec.experiments().collect(),
        false => {
            arguments.names.iter().map(|name| spec.experiment(name)).collect::<Result<_, _>>()?
        }
    };
    let is_named = arguments.run_id.is_some() || arguments.resume.is_some();
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
    let text = |value: &Option<String>| value.clone().map(Into::into);
    let path = |value: &Option<PathBuf>| value.clone().map(PathBuf::into_os_string);
    for (name, value) in [
        ("DEVICE", Some(arguments.device.clone().into())),
        ("SPEC", path(&arguments.spec)),
        ("RUN_ID", text(&arguments.run_id)),
        ("RESULTS_ROOT", path(&arguments.results_root)),
        ("RESUME", text(&arguments.resume)),
        ("SHARD", text(&arguments.shard)),
        ("PROTOCOL", text(&arguments.protocol)),
        ("BURN_IN", text(&arguments.burn_in)),
        ("SEED", text(&arguments.seed)),
        ("REPORT", text(&arguments.report)),
        ("FAULT", text(&arguments.fault)),
    ] {
        if let Some(value) = value {
            command.env(format!("NIGHT_SWEEP_{name}"), AsRef::<OsStr>::as_ref(&value));
        }
    }
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
