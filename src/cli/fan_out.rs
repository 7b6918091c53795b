use crate::device::{DeviceChoice, cuda};
use crate::fan_out::Request;
use crate::fan_out::place::Gpus;
use crate::process::executable::Executable;
use crate::run::settings::{ALL, Settings};
use crate::spec::Source;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::path::PathBuf;

const HELP: &str = "\
Shards i/n of the sweep run at the same time, each in a process of its own that sees one GPU. They
are merged, and the report of the whole is written: the last line is its folder. A shard that fails
leaves the others running. The same command again goes on with what is missing; so it does after
Ctrl-C, SIGTERM or SIGUSR1, which all shards get. `--gpus cpu:2` runs two processes on the host's
cores. They disturb each other: that tries a fan-out, and measures little.
Exit codes: 0, 2 bad input or a shard that failed, 75 stopped (start it again), 130 by Ctrl-C.";

/// Of Criterion's own: what measures nothing.
const NO_RUN: [&str; 4] = ["--list", "--test", "--profile-time", "--load-baseline"];

/// Run a bench on several GPUs of this node at once, a shard each, and merge them into one run.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct FanOutArgs {
    /// The bench, as g4_gemm_n_dense.
    bench: String,
    /// The GPUs: all, numbers as in cuda:N like 0,1, uuids like GPU-1a2b3c4d; or cpu:N for N
    /// processes on the CPU.
    #[arg(long, default_value = "all")]
    gpus: Gpus,
    /// Where the bench is: a checkout, target/release/deps, any folder of executables, or an
    /// executable (a bench, or night-sweep). Default: beside night-sweep, where cargo builds it,
    /// else this program.
    #[arg(long)]
    build: Option<PathBuf>,
    /// First run a few cases on each GPU alone and then on all at once: says how much they slow
    /// each other down, and which GPU is an outlier.
    #[arg(long)]
    interference: bool,
    /// Only the cases whose id matches this regular expression, as Criterion's filter.
    #[arg(long)]
    filter: Option<String>,
    /// Name of the run; default: YYYYMMDD_HHMMSS_EXPERIMENT.
    #[arg(long, env = "NIGHT_SWEEP_RUN_ID")]
    run_id: Option<String>,
    /// Where run folders are written.
    #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
    results_root: PathBuf,
    /// Criterion's arguments, --save-baseline say.
    #[arg(last = true)]
    criterion: Vec<String>,
}

pub fn run(arguments: &FanOutArgs) -> Result<u8> {
    let settings = Settings::from_env()?;
    let is_set = [settings.shard.map(|_| "SHARD"), settings.resume.as_ref().map(|_| "RESUME")];
    if let Some(name) = is_set.into_iter().flatten().next() {
        bail!(
            "NIGHT_SWEEP_{name}: a fan-out makes the shards and goes on with them itself; unset it"
        );
    }
    ensure!(
        settings.experiment.as_deref() != Some(ALL),
        "NIGHT_SWEEP_EXPERIMENT={ALL}: a fan-out runs one experiment: name it"
    );
    let is_cpu = matches!(arguments.gpus, Gpus::Cpu(_));
    let other = match settings.device {
        DeviceChoice::Auto => false,
        DeviceChoice::Cpu => !is_cpu,
        DeviceChoice::Cuda(_) => is_cpu,
    };
    ensure!(
        !other,
        "NIGHT_SWEEP_DEVICE and --gpus name different devices: unset NIGHT_SWEEP_DEVICE"
    );
    for argument in &arguments.criterion {
        let name = argument.split('=').next().unwrap_or_default();
        ensure!(!NO_RUN.contains(&name), "{name} measures nothing: give it to the bench itself");
    }
    let places = arguments.gpus.places(|| cuda::list().map_err(|error| error.message))?;
    let executable = match &arguments.build {
        Some(place) => Executable::find(place, &arguments.bench).context("--build")?,
        None => Executable::here(&arguments.bench)?,
    };
    crate::fan_out::run(&Request {
        bench: arguments.bench.clone(),
        executable,
        spec: Source::of(settings.spec.as_deref(), is_cpu)?,
        experiment: settings.experiment,
        places,
        run_id: arguments.run_id.clone(),
        results_root: arguments.results_root.clone(),
        filter: arguments.filter.clone(),
        criterion: arguments.criterion.clone(),
        interference: arguments.interference,
        report: settings.report,
    })
}
