use super::comparison::{Output, WHICH};
use super::device::is_cpu;
use crate::advise::input::percentage;
use crate::compare::comparison::Outcome;
use crate::compare::gate::noise_floor::NoiseFloor;
use crate::compare::gate::pairs::KIND;
use crate::compare::gate::{self, Request, close, default_state};
use crate::compare::pair2::Rules;
use crate::files;
use crate::measure::record::ProtocolKind;
use crate::process::child::{Bench, Cut};
use crate::process::executable::Executable;
use crate::process::signals::Signals;
use crate::run::settings::Settings;
use crate::spec::Source;
use crate::terminal::say;
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measure two builds in turn, and say whether the second got slower.
#[derive(Args)]
#[command(after_help = WHICH)]
pub struct GateArgs {
    /// The base build: a checkout, target/release/deps, any folder of executables, or an executable
    /// (a bench, or night-sweep).
    #[arg(long)]
    base: PathBuf,
    /// The same for the build to judge.
    #[arg(long, required_unless_present = "aa", conflicts_with = "aa")]
    cand: Option<PathBuf>,
    /// The bench, as g3_gemm_k_dense.
    #[arg(long)]
    bench: String,
    /// Pair the base with itself: must pass, and writes the noise floor of the machine.
    #[arg(long)]
    aa: bool,
    /// The spec whose cases are measured; default: that of the benches on this device. Its warmup,
    /// measure and trials are replaced.
    #[arg(long, env = "NIGHT_SWEEP_SPEC")]
    spec: Option<PathBuf>,
    /// Only the cases whose id matches this regular expression, as Criterion's filter.
    #[arg(long)]
    filter: Option<String>,
    /// The least slowdown that fails the gate. One of exactly this is found half of the time; what
    /// is found 19 times in 20 is the threshold and as much as the noise hides. Default: 1%, or the
    /// noise floor of the machine where that is higher
    #[arg(long)]
    threshold: Option<String>,
    /// Trials of each process; default: 2 in the screen and 3 in the
    /// confirmation, on the CPU 12 and 24.
    #[arg(long)]
    trials: Option<usize>,
    /// Seconds that a process may take before it counts as hanging: the gate then ends it, and ends
    /// with exit code 3. Default: ten times the longest process before it and at least 60; 1800 for
    /// the first.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit_s: Option<u64>,
    /// Seed of the first pair.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// NAME=VALUE in the environment of the base's processes, LD_LIBRARY_PATH to compare libraries
    /// say; repeatable.
    #[arg(long, value_parser = variable)]
    base_env: Vec<(String, String)>,
    /// The same for the candidate's.
    #[arg(long, value_parser = variable)]
    cand_env: Vec<(String, String)>,
    /// Where the pairs are kept until there is an answer: a folder that does not exist, is empty,
    /// or is that of a gate that was killed, which goes on from there. Default:
    /// target/night-sweep-gate/BENCH
    #[arg(long)]
    state: Option<PathBuf>,
    /// The noise floor, written by --aa and read by a gate. Default: STATE.noise-floor.json
    #[arg(long)]
    noise_floor: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &GateArgs) -> Result<u8> {
    let settings = Settings::from_env()?;
    let request = request(arguments, is_cpu(settings.device))?;
    ensure_replaceable(arguments, &request)?;
    let request = Request { state: std::path::absolute(&request.state)?, ..request };
    let signals = Signals::listen().context("cannot listen for signals")?;
    let told = |line: &str| say(&format!("night-sweep: {line}"));
    let (comparison, state) = match gate::run(&request, &signals, &told) {
        Ok(found) => found,
        Err(error) => match error.downcast_ref::<Cut>() {
            Some(Cut::Stopped(asked)) => {
                told(&format!("{error}; the same command goes on with its pairs"));
                return Ok(asked.code);
            }
            Some(Cut::Hung { .. }) => {
                told(&format!(
                    "{error:#}; --limit-s allows more, and the same command goes on with its pairs"
                ));
                return Ok(Outcome::Inconclusive as u8);
            }
            None => return Err(error),
        },
    };
    let code = arguments.output.answer(&comparison)?;
    let strangers = close(state)?;
    if !strangers.is_empty() {
        let strangers = files::listed(&strangers);
        say(&format!(
            "night-sweep: --state stays: night-sweep did not write all of it ({strangers})"
        ));
    }
    Ok(code)
}

fn request(arguments: &GateArgs, is_cpu: bool) -> Result<Request> {
    let given = arguments.threshold.as_deref().map(percentage).transpose();
    let given = given.context("--threshold")?;
    ensure!(given.is_none_or(|given| given > 0.0), "--threshold: has to be above 0%");
    ensure!(arguments.trials != Some(0), "--trials: at least 1");
    let build = |place: &PathBuf, variables: &[(String, String)]| -> Result<Bench> {
        let bench = Bench::new(Executable::find(place, &arguments.bench)?);
        // The gate says how often.
        Ok(bench.without("NIGHT_SWEEP_PROTOCOL").set_all(variables.iter().cloned()))
    };
    let state = arguments.state.clone().unwrap_or_else(|| default_state(&arguments.bench));
    let state = files::plain(&state);
    let floor = || {
        let mut floor = state.clone().into_os_string();
        floor.push(".noise-floor.json");
        floor.into()
    };
    let noise_floor = arguments.noise_floor.clone().unwrap_or_else(floor);
    let rules = if is_cpu { Rules::on_host() } else { Rules::default() };
    let threshold = match given {
        Some(given) => given,
        None => default_threshold(&noise_floor, rules.threshold.exp_m1())?,
    };
    Ok(Request {
        bench: arguments.bench.clone(),
        base: build(&arguments.base, &arguments.base_env)?,
        cand: arguments.cand.as_ref().map(|cand| build(cand, &arguments.cand_env)).transpose()?,
        spec: Source::of(arguments.spec.as_deref(), is_cpu)?,
        filter: arguments.filter.clone(),
        // A host's level is its fastest sample: it takes as many as there are.
        kind: if is_cpu { ProtocolKind::Standard } else { ProtocolKind::Gate },
        launches: [if is_cpu { 2 } else { 10 }, 20],
        trials: match (arguments.trials, is_cpu) {
            (Some(trials), _) => [trials; 2],
            (None, true) => [12, 24],
            (None, false) => [2, 3],
        },
        rules: Rules { threshold: threshold.ln_1p(), ..rules },
        limit: arguments.limit_s.map(Duration::from_secs),
        allow_missing: arguments.output.allow_missing,
        seed: arguments.seed,
        noise_floor,
        state,
    })
}

/// No lower than what the machine is known to hide.
fn default_threshold(noise_floor: &Path, least: f64) -> Result<f64> {
    let known = NoiseFloor::read(noise_floor)?.map_or(0.0, |floor| floor.mde_pct / 100.0);
    if known > least {
        say(&format!(
            "night-sweep: the threshold is {:.1} %, the noise floor in {}",
            known * 100.0,
            noise_floor.display()
        ));
    }
    Ok(known.max(least))
}

fn ensure_replaceable(arguments: &GateArgs, request: &Request) -> Result<()> {
    let executables = std::iter::once(("--base", &request.base))
        .chain(request.cand.as_ref().map(|cand| ("--cand", cand)))
        .map(|(name, build)| (name, &*build.executable.path));
    let others: Vec<(&str, &Path)> =
        [("--noise-floor", &*request.noise_floor), ("the spec", &*request.spec.path)]
            .into_iter()
            .chain(executables)
            .collect();
    arguments.output.ensure_replaceable(&[("--state", &request.state)], &others)?;
    files::ensure_ours(&request.state, &KIND).context("--state")
}

fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| anyhow!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_threshold_is_no_lower_than_the_noise_floor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("floor.json");
        let threshold = || default_threshold(&path, 0.01).unwrap();
        assert_eq!(threshold(), 0.01);
        for (mde_pct, expected) in [(0.3, 0.01), (2.4, 0.024)] {
            let floor = serde_json::json!({
                "schema_version": "2.0", "bench": "g3", "device": "a CPU", "driver": "none",
                "gates": 1, "mde_pct": mde_pct, "calibration": null, "cases": {}
            });
            std::fs::write(&path, floor.to_string()).unwrap();
            assert!((threshold() - expected).abs() < 1e-12, "{mde_pct}");
        }
    }
}
