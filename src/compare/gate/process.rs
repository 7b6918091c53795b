//! A process of a gate: a bench run as a user runs it, in folders of its own, and what its journal
//! says.

use crate::compare::host;
use crate::device::clocks::Clocks;
use crate::device::torch::Versions;
use crate::files::{self, Kind, MARK};
use crate::journal::home::is_of_a_bench;
use crate::journal::{self, ByCase, Run};
use crate::measure::record::Calibration;
use crate::process::child::{Bench, Watch};
use crate::stats::{mean, median};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Serialize, Deserialize)]
pub struct Record {
    /// What must not differ between the processes of a gate.
    pub conditions: BTreeMap<String, String>,
    /// The versions of PyTorch that ran, or `none`: the two sides may differ in them, where that is
    /// what is compared.
    pub pytorch: String,
    /// The libraries that it loaded, by version; they too may be what is compared.
    pub libraries: String,
    pub device_name: String,
    pub wall_s: f64,
    /// What event timing costs; absent on the CPU.
    pub calibration: Option<Calibration>,
    pub cases: BTreeMap<String, Case>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Case {
    Timed(Timed),
    /// `error_kind: error`.
    Failed {
        error: String,
    },
}

#[derive(Serialize, Deserialize)]
pub struct Timed {
    /// Mean, of the logarithms, of the medians of its trials; on the CPU as `host` says.
    pub level_ms: f64,
    samples: usize,
    /// Mean of the clocks counted in its trials; absent on the CPU.
    sm_mhz: Option<f64>,
    pub is_throttled: bool,
    /// Of one launch.
    pub kernels: Vec<String>,
}

const HOME: Kind = Kind::of("a process of a gate", is_of_a_process);

pub fn is_of_a_process(name: &Path, is_dir: bool) -> bool {
    name == Path::new(MARK) || is_of_a_bench(name, is_dir)
}

/// Runs the cases that `filter` matches, in the order that `seed` gives, with everything it writes
/// in `home`, which is removed again.
pub fn measure(
    build: &Bench,
    spec: &Path,
    filter: Option<&str>,
    seed: u64,
    home: &Path,
    watch: &Watch,
) -> Result<Record> {
    const RUN_ID: &str = "gate";
    // Of a gate that was killed.
    files::clear(home, &HOME)?;
    files::claim(home, &HOME)?;
    let bench = build
        .clone()
        .part(Some(spec))
        .arguments(["--discard-baseline"])
        .arguments(filter)
        .set("CRITERION_HOME", home.join("criterion"))
        .set("NIGHT_SWEEP_RESULTS_ROOT", home.join("reports"))
        .set("NIGHT_SWEEP_RUN_ID", RUN_ID)
        .set("NIGHT_SWEEP_SEED", seed.to_string());
    let start = std::time::Instant::now();
    bench.run(watch)?;
    let wall_s = start.elapsed().as_secs_f64();
    let path = home.join("criterion/night-sweep").join(RUN_ID).join(journal::FILE_NAME);
    let run = journal::read(&path)?;
    ensure!(run.end.is_some(), "{}: the run did not end", path.display());
    let record = Record { wall_s, ..record(&run) };
    // What is not ours stays, and is told of when the gate ends.
    files::clear(home, &HOME)?;
    Ok(record)
}

fn record(run: &Run) -> Record {
    let header = &run.header;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    let conditions = [
        ("the device", header.device.clone()),
        ("the GPU uuid", text(&header.env["gpu"]["uuid"])),
        ("the driver", text(&header.env["gpu"]["driver_version"])),
        ("the schema", header.schema_version.clone()),
        ("the experiment", header.experiment.clone()),
        ("the protocol's warm-up", header.protocol.warmup.to_string()),
        ("the protocol's launches", header.protocol.measure.to_string()),
    ];
    let by_case = run.by_case();
    let ids = header.cases.iter().map(|case| &case.id);
    let mut cases: BTreeMap<String, Case> =
        ids.map(|id| (id.clone(), self::case(&by_case, id))).collect();
    if header.device == "cpu" {
        set_host_levels(&by_case, &mut cases);
    }
    Record {
        conditions: conditions.map(|(what, value)| (what.to_owned(), value)).into(),
        pytorch: Versions::list(run.trials.iter().filter_map(|trial| trial.ran.pytorch.as_ref())),
        libraries: header.env["libraries"].to_string(),
        device_name: header.device_name(),
        wall_s: 0.0,
        calibration: header.calibration,
        cases,
    }
}

/// Replaces the medians by what stands for a case on a host.
fn set_host_levels(run: &ByCase, cases: &mut BTreeMap<String, Case>) {
    let timed = cases.iter_mut().filter_map(|(id, case)| match case {
        Case::Timed(timed) => Some((id, &mut timed.level_ms)),
        Case::Failed { .. } => None,
    });
    let timed: Vec<(&String, &mut f64)> = timed.collect();
    let fastest =
        |samples_ms: &[f64]| samples_ms.iter().copied().fold(f64::INFINITY, f64::min).ln();
    let trials: Vec<Vec<f64>> = timed
        .iter()
        .map(|(id, _)| run.trials(id).iter().map(|trial| fastest(&trial.samples_ms)).collect())
        .collect();
    for ((_, level_ms), level) in timed.into_iter().zip(host::levels(&trials)) {
        *level_ms = level.exp();
    }
}

fn case(run: &ByCase, id: &str) -> Case {
    let trials = run.trials(id);
    if let Some(failure) = run.failure(id) {
        return Case::Failed { error: format!("{}: {}", failure.error_kind.name(), failure.error) };
    }
    let logs = trials.iter().filter_map(|trial| median(&trial.samples_ms)).map(f64::ln);
    let level_ms = mean(&logs.collect::<Vec<_>>()).map(f64::exp);
    let (Some(level_ms), Some(last)) = (level_ms, trials.last()) else {
        return Case::Failed { error: "skipped: the run has no time of it".to_owned() };
    };
    let clocks: Vec<&Clocks> = trials.iter().filter_map(|trial| trial.clocks.as_ref()).collect();
    // NVML's reading is not the clock of the kernels.
    let mhz: Vec<f64> = clocks.iter().filter_map(|clocks| clocks.counted_sm_mhz).collect();
    Case::Timed(Timed {
        level_ms,
        samples: trials.iter().map(|trial| trial.samples_ms.len()).sum(),
        sm_mhz: mean(&mhz),
        is_throttled: clocks.iter().any(|clocks| clocks.is_slowed()),
        kernels: last.ran.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
    })
}

impl Record {
    pub fn timed(&self, case_id: &str) -> Option<&Timed> {
        match self.cases.get(case_id)? {
            Case::Timed(timed) => Some(timed),
            Case::Failed { .. } => None,
        }
    }

    /// `ln` of the time of a case, if its time can be trusted.
    pub fn level(&self, case_id: &str) -> Option<f64> {
        self.timed(case_id).filter(|timed| !timed.is_throttled).map(|timed| timed.level_ms.ln())
    }

    pub fn sm_mhz(&self, case_id: &str) -> Option<f64> {
        self.timed(case_id)?.sm_mhz
    }
}
