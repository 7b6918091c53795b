//! A process of a gate: a bench run as a user runs it, in folders of its own, and what its journal says.

use super::host;
use crate::device::clocks::Clocks;
use crate::files::{self, Kind, MARK};
use crate::journal::home::is_of_a_bench;
use crate::journal::{self, Run};
use crate::measure::record::Calibration;
use crate::stats::{mean, median};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A build: the executable, and what its processes find in their environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The bench.
    pub executable: PathBuf,
    /// Variables set for this build alone.
    pub variables: Vec<(String, String)>,
}

/// What a process left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What must not differ between the processes of a gate.
    pub conditions: BTreeMap<String, String>,
    /// Where it ran, for people.
    pub device_name: String,
    /// Wall-clock seconds, from start to end of the process.
    pub wall_s: f64,
    /// What event timing costs; absent on the CPU.
    pub calibration: Option<Calibration>,
    /// Its cases.
    pub cases: BTreeMap<String, Case>,
}

/// A case in one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Case {
    /// It was timed.
    Timed {
        /// Over the samples of all trials, in ms: their median; on the CPU as `host` says.
        level_ms: f64,
        /// How many samples.
        samples: usize,
        /// Mean SM clock in MHz; absent on the CPU.
        sm_mhz: Option<f64>,
        /// The card was slowed down by heat or its hardware.
        is_throttled: bool,
        /// The kernels of one launch.
        kernels: Vec<String>,
    },
    /// It was not.
    Failed {
        /// `error_kind: error`.
        error: String,
    },
}

/// Where a process writes.
const HOME: Kind = Kind {
    what: "a process of a gate",
    identity: "",
    is_ours: is_of_a_process,
    unmarked: &|_| false,
};

/// Whether a process of a gate writes this into its folder.
pub fn is_of_a_process(name: &Path, is_dir: bool) -> bool {
    name == Path::new(MARK) || is_of_a_bench(name, is_dir)
}

/// The ids of the cases that a build would run.
///
/// # Errors
/// If it does not run.
pub fn cases(build: &Build, spec: &Path, filter: Option<&str>) -> Result<Vec<String>> {
    let mut command = command(build, spec);
    command.args(["--bench", "--list", "--format", "terse"]).args(filter);
    let output = finish(command)?;
    Ok(output
        .lines()
        .filter_map(|line| line.strip_suffix(": benchmark"))
        .map(str::to_owned)
        .collect())
}

/// A filter that matches the cases of these ids and no others.
pub fn exactly<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<String> = ids.map(regex::escape).collect();
    format!("^(?:{})$", ids.join("|"))
}

/// Runs the cases that `filter` matches, in the order that `seed` gives, with everything it writes in `home`, which is
/// removed again.
///
/// # Errors
/// If the process fails, or its journal is not whole. A case that cannot be timed is no error.
pub fn measure(
    build: &Build,
    spec: &Path,
    filter: Option<&str>,
    seed: u64,
    home: &Path,
) -> Result<Record> {
    const RUN_ID: &str = "gate";
    // Of a gate that was killed.
    files::clear(home, &HOME)?;
    files::claim(home, &HOME)?;
    let mut command = command(build, spec);
    command
        .args(["--bench", "--discard-baseline"])
        .args(filter)
        .env("CRITERION_HOME", home.join("criterion"))
        .env("NIGHT_SWEEP_RESULTS_ROOT", home.join("reports"))
        .env("NIGHT_SWEEP_RUN_ID", RUN_ID)
        .env("NIGHT_SWEEP_SEED", seed.to_string());
    let start = std::time::Instant::now();
    finish(command)?;
    let wall_s = start.elapsed().as_secs_f64();
    let path = home.join("criterion/night-sweep").join(RUN_ID).join(journal::FILE_NAME);
    let run = journal::read(&path)?;
    ensure!(run.end.is_some(), "{}: the run did not end", path.display());
    let record = Record { wall_s, ..record(&run) };
    // What is not ours stays, and is told of when the gate ends.
    files::clear(home, &HOME)?;
    Ok(record)
}

fn command(build: &Build, spec: &Path) -> Command {
    let mut command = Command::new(&build.executable);
    // What would make it another run than the gate's.
    let others = ["RUN_ID", "RESUME", "SHARD", "PROTOCOL"];
    for name in others.map(|name| format!("NIGHT_SWEEP_{name}")) {
        command.env_remove(name);
    }
    command.env("NIGHT_SWEEP_SPEC", spec).env("NIGHT_SWEEP_REPORT", "no");
    command.envs(build.variables.iter().map(|(name, value)| (name, value)));
    command
}

/// Waits for a process, and hands back its standard output.
fn finish(mut command: Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}: is it of this machine?"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = stderr.lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{program} ended with {}: {}", output.status, last.join(" / "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn record(run: &Run) -> Record {
    let header = &run.header;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    let conditions = [
        ("the device", header.device.clone()),
        ("the GPU uuid", text(&header.env["gpu"]["uuid"])),
        ("the driver", text(&header.env["gpu"]["driver_version"])),
        ("the L2 mode", text(&header.config["l2"])),
        ("the schema", header.schema_version.clone()),
        ("the experiment", header.experiment.clone()),
        ("the protocol's warm-up", header.protocol.warmup.to_string()),
        ("the protocol's launches", header.protocol.measure.to_string()),
    ];
    let mut cases: BTreeMap<String, Case> =
        header.cases.iter().map(|case| (case.id.clone(), self::case(run, &case.id))).collect();
    if header.device == "cpu" {
        set_host_levels(run, &mut cases);
    }
    Record {
        conditions: conditions.map(|(what, value)| (what.to_owned(), value)).into(),
        device_name: crate::run::env::device_name(&header.env),
        wall_s: 0.0,
        calibration: header.calibration,
        cases,
    }
}

/// Replaces the medians by what stands for a case on a host.
fn set_host_levels(run: &Run, cases: &mut BTreeMap<String, Case>) {
    let mut timed: Vec<(&String, &mut f64)> = cases
        .iter_mut()
        .filter_map(|(id, case)| match case {
            Case::Timed { level_ms, .. } => Some((id, level_ms)),
            Case::Failed { .. } => None,
        })
        .collect();
    let fastest =
        |samples_ms: &[f64]| samples_ms.iter().copied().fold(f64::INFINITY, f64::min).ln();
    let trials: Vec<Vec<f64>> = timed
        .iter()
        .map(|(id, _)| run.trials_of(id).iter().map(|trial| fastest(&trial.samples_ms)).collect())
        .collect();
    for ((_, level_ms), level) in timed.iter_mut().zip(host::levels(&trials)) {
        **level_ms = level.exp();
    }
}

fn case(run: &Run, id: &str) -> Case {
    let trials = run.trials_of(id);
    if let Some(failure) = run.failure_of(id) {
        return Case::Failed { error: format!("{}: {}", failure.error_kind.name(), failure.error) };
    }
    let samples_ms: Vec<f64> = trials.iter().flat_map(|trial| &trial.samples_ms).copied().collect();
    let level_ms = median(&samples_ms);
    let (Some(level_ms), Some(last)) = (level_ms, trials.last()) else {
        return Case::Failed { error: "skipped: the run has no time of it".to_owned() };
    };
    let clocks: Vec<&Clocks> = trials.iter().filter_map(|trial| trial.clocks.as_ref()).collect();
    let mhz: Vec<f64> = clocks.iter().map(|clocks| clocks.best_sm_mhz()).collect();
    Case::Timed {
        level_ms,
        samples: samples_ms.len(),
        sm_mhz: mean(&mhz),
        is_throttled: clocks.iter().any(|clocks| clocks.is_slowed()),
        kernels: last.ran.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
    }
}

impl Record {
    /// `ln` of the time of a case, if its time can be trusted.
    pub fn level(&self, case_id: &str) -> Option<f64> {
        match self.cases.get(case_id)? {
            Case::Timed { level_ms, is_throttled: false, .. } => Some(level_ms.ln()),
            Case::Timed { .. } | Case::Failed { .. } => None,
        }
    }

    /// Mean SM clock over the cases, in MHz.
    pub fn sm_mhz(&self) -> Option<f64> {
        let clocks = self.cases.values().filter_map(|case| match case {
            Case::Timed { sm_mhz, .. } => *sm_mhz,
            Case::Failed { .. } => None,
        });
        mean(&clocks.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_callers_makes_it_another_run() {
        let build = Build {
            executable: PathBuf::from("bench"),
            variables: vec![("NIGHT_SWEEP_FAULT".to_owned(), "slow:K1:3".to_owned())],
        };
        let command = command(&build, Path::new("spec.yaml"));
        let set = |wanted: &str| {
            let found = command.get_envs().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
        };
        for removed in ["RUN_ID", "RESUME", "SHARD", "PROTOCOL"] {
            assert_eq!(set(&format!("NIGHT_SWEEP_{removed}")), Some(None), "{removed}");
        }
        assert_eq!(set("NIGHT_SWEEP_FAULT"), Some(Some("slow:K1:3".to_owned())));
        assert_eq!(set("NIGHT_SWEEP_DEVICE"), None, "the caller's stays");
    }
}
