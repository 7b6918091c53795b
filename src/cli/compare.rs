//! The command line of `compare` and `gate`.

use crate::advise::input::percentage;
use crate::compare::comparison::Comparison;
use crate::compare::gate::process::Build;
use crate::compare::gate::state::KIND;
use crate::compare::gate::{self, Request, default_state};
use crate::compare::output::{self, Format};
use crate::compare::pair2::Rules;
use crate::compare::side::{criterion, runs};
use crate::compare::stored;
use crate::files;
use crate::process::executable;
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

/// Which of the two commands to use when; part of the help of both.
pub const WHICH: &str = "\
Which one:
  compare  reads what was measured before, in seconds, and needs no device. Whatever the day, the driver or the card
           did in between is in the numbers: changes from 5 % up fail. For a look after `cargo bench`, for releases,
           and where the old build cannot be run any more.
  gate     measures two builds in turn on one machine, in minutes, and sees 3 % (1.5 % is the least it reports). For
           pull requests. `gate --aa` first, once a week and on every new machine: it finds out what the machine is
           good for.
Exit codes: 0 nothing that counts got slower, 1 something did or fails now, 2 bad input, 3 (gate) no answer possible.";

/// What both take.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// How to print the answer.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Writes all formats and the plots into this folder; an earlier comparison there is replaced,
    /// anything else is refused.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// `night-sweep compare`.
#[derive(Args, Clone, Debug)]
#[command(after_help = WHICH)]
pub struct CompareArgs {
    /// A run folder, or a folder of several runs; with --criterion the name of a baseline.
    base: String,
    /// The same for what is judged; with --criterion `new` is the newest run.
    cand: String,
    /// Compares two of Criterion's baselines, as `cargo bench -- --save-baseline NAME` makes them.
    #[arg(long)]
    criterion: bool,
    /// The least slowdown that fails the comparison; 5% is the least allowed.
    #[arg(long, default_value = "5%")]
    threshold: String,
    /// Compares also what was measured on different GPU models, drivers, protocols, L2 modes or schemas.
    #[arg(long)]
    allow_mismatch: bool,
    #[command(flatten)]
    output: Output,
}

/// `night-sweep gate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = WHICH)]
pub struct GateArgs {
    /// Where the base build's benches are: a folder of executables, target/release/deps say, a checkout, or the
    /// executable itself.
    #[arg(long)]
    base: PathBuf,
    /// The same for the build to judge.
    #[arg(long, required_unless_present = "aa", conflicts_with = "aa")]
    cand: Option<PathBuf>,
    /// The bench, as g3_gemm_k_dense.
    #[arg(long)]
    bench: String,
    /// Pairs the base with itself: must pass, and writes the noise floor of the machine.
    #[arg(long)]
    aa: bool,
    /// The spec whose cases are measured; default: that of the benches on this device. Its warmup, measure and trials
    /// are replaced.
    #[arg(long, env = "NIGHT_SWEEP_SPEC")]
    spec: Option<PathBuf>,
    /// Only the cases whose id matches, as Criterion's filter.
    #[arg(long)]
    filter: Option<String>,
    /// The least slowdown that fails the gate.
    #[arg(long, default_value = "1.5%")]
    threshold: String,
    /// Trials of each process; default: 1 in the screen and 3 in the confirmation, on the CPU 12 and 24.
    #[arg(long)]
    trials: Option<usize>,
    /// Seed of the first pair.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// NAME=VALUE in the environment of the base's processes, LD_LIBRARY_PATH to compare libraries say; repeatable.
    #[arg(long, value_parser = variable)]
    base_env: Vec<(String, String)>,
    /// The same for the candidate's.
    #[arg(long, value_parser = variable)]
    cand_env: Vec<(String, String)>,
    /// Where the pairs are kept until there is an answer: a folder that does not exist, is empty, or is
    /// that of a gate that was killed, which goes on from there. Default:
    /// target/night-sweep-gate/BENCH
    #[arg(long)]
    state: Option<PathBuf>,
    /// The noise floor, written by --aa and read by a gate. Default: STATE.noise-floor.json
    #[arg(long)]
    noise_floor: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Compares stored runs. `home` is Criterion's folder.
///
/// # Errors
/// Bad input, in one line.
pub fn compare(arguments: &CompareArgs, home: &Path) -> Result<u8> {
    let CompareArgs { base, cand, .. } = arguments;
    let sides: &[(&str, &Path)] = match arguments.criterion {
        true => &[],
        false => &[("the base", Path::new(base)), ("the candidate", Path::new(cand))],
    };
    ensure_replaceable(&arguments.output, &[], sides)?;
    let (base, cand) = match arguments.criterion {
        true => (criterion::read(home, base)?, criterion::read(home, cand)?),
        false => (runs::read(Path::new(base))?, runs::read(Path::new(cand))?),
    };
    let threshold = percentage(&arguments.threshold).context("--threshold")?;
    let mut comparison = stored::compare(&base, &cand, threshold, arguments.allow_mismatch)?;
    if arguments.criterion {
        comparison.notes.push(
            "Criterion's files do not say on which device they were measured, nor which kernels ran".to_owned(),
        );
    }
    answer(&comparison, &arguments.output)
}

/// Runs a gate. `default_spec` is what the benches on this device take; `is_cpu` says which device that is.
///
/// # Errors
/// Bad input, in one line.
pub fn gate(arguments: &GateArgs, default_spec: Result<PathBuf>, is_cpu: bool) -> Result<u8> {
    let threshold = percentage(&arguments.threshold).context("--threshold")?;
    ensure!(threshold > 0.0, "--threshold: has to be above 0%");
    ensure!(arguments.trials != Some(0), "--trials: at least 1");
    let build = |place: &PathBuf, variables: &[(String, String)]| -> Result<Build> {
        let executable = executable::find(place, &arguments.bench)?;
        Ok(Build { executable, variables: variables.to_vec() })
    };
    let base = build(&arguments.base, &arguments.base_env)?;
    let cand = arguments.cand.as_ref().map(|cand| build(cand, &arguments.cand_env)).transpose()?;
    let state = arguments.state.clone().unwrap_or_else(|| default_state(&arguments.bench));
    let state = files::plain(&state);
    let floor = || {
        let mut floor = state.clone().into_os_string();
        floor.push(".noise-floor.json");
        floor.into()
    };
    let rules = if is_cpu { Rules::on_host() } else { Rules::default() };
    let request = Request {
        bench: arguments.bench.clone(),
        base,
        cand,
        spec: std::path::absolute(arguments.spec.clone().map_or(default_spec, Ok)?)?,
        filter: arguments.filter.clone(),
        launches: [if is_cpu { 2 } else { 10 }, 20],
        trials: match (arguments.trials, is_cpu) {
            (Some(trials), _) => [trials; 2],
            (None, true) => [12, 24],
            (None, false) => [1, 3],
        },
        rules: Rules { threshold: threshold.ln_1p(), ..rules },
        seed: arguments.seed,
        noise_floor: arguments.noise_floor.clone().unwrap_or_else(floor),
        state: std::path::absolute(&state)?,
    };
    let executables = std::iter::once(("--base", &request.base))
        .chain(request.cand.as_ref().map(|cand| ("--cand", cand)))
        .map(|(name, build)| (name, &*build.executable));
    let others: Vec<(&str, &Path)> =
        [("--noise-floor", &*request.noise_floor), ("the spec", &*request.spec)]
            .into_iter()
            .chain(executables)
            .collect();
    ensure_replaceable(&arguments.output, &[("--state", &state)], &others)?;
    files::ensure_ours(&state, &KIND).context("--state")?;
    let (comparison, state) = gate::run(&request, &|line| eprintln!("night-sweep: {line}"))?;
    let code = answer(&comparison, &arguments.output)?;
    let strangers = state.close()?;
    if !strangers.is_empty() {
        let strangers = files::listed(&strangers);
        eprintln!("night-sweep: --state stays: night-sweep did not write all of it ({strangers})");
    }
    Ok(code)
}

/// Refuses before measuring what would be refused afterwards: an --out that another made, and paths
/// within one another.
fn ensure_replaceable(
    output: &Output,
    folders: &[(&str, &Path)],
    others: &[(&str, &Path)],
) -> Result<()> {
    let here = ("the current folder", Path::new("."));
    let out = output.out.as_deref().map(|out| ("--out", out));
    let folders: Vec<_> = folders.iter().copied().chain(out).collect();
    files::ensure_apart(&folders, &[&[here], others].concat())?;
    match &output.out {
        Some(out) => files::ensure_replaceable(out, &output::FOLDER).context("--out"),
        None => Ok(()),
    }
}

fn answer(comparison: &Comparison, output: &Output) -> Result<u8> {
    if let Some(out) = &output.out {
        output::write(comparison, out)?;
    }
    print!("{}", output::render(comparison, output.format)?);
    Ok(comparison.outcome.exit_code())
}

fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| anyhow!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
