//! Runs as one side of such a comparison: of each case the time and the cycles, of each run the
//! card and the libraries.

use super::answer::Card;
use crate::compare::side::runs::{ensure_consistent, find, read_env};
use crate::device::clocks::Clocks;
use crate::journal::record::Status;
use crate::measure::record::Peaks;
use crate::results::folder;
use crate::results::raw::{Bound, Measured, Raw, Row, Shape};
use crate::results::read;
use crate::workload::provider::Provider;
use crate::workload::{ErrorKind, Precision};
use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Some runs, and their cases by id.
pub struct Night {
    pub name: String,
    pub runs: Vec<Run>,
    pub cases: BTreeMap<String, Vec<Entry>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub id: String,
    /// The GPU's name; none on the CPU.
    pub model: Option<String>,
    /// Which of two is to be taken: a complete one, and of those the newest.
    pub rank: (bool, Option<Timestamp>),
    pub card: Card,
    /// Of the driver and the libraries, where they are known.
    pub versions: BTreeMap<&'static str, String>,
    /// What to know of it.
    pub notes: Vec<String>,
}

/// A case in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place among the runs.
    pub run: usize,
    pub shape: Shape,
    pub dtype: Precision,
    pub timed: Result<Timed, ErrorKind>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    pub provider: Provider,
    pub p50_ms: f64,
    pub cycles: Option<f64>,
    pub bound: Option<Bound>,
    /// Names, in launch order.
    pub kernels: Vec<String>,
    /// Thread blocks of each.
    pub grids: Vec<[u32; 3]>,
    pub clocks: Option<Clocks>,
}

/// A run folder, read.
pub type Stored = (Run, Vec<(String, Entry)>);

/// Reads the run of a folder, or all runs that lie at most `depth` folders below it. Where only
/// one `model` is of interest, no rows of the others are read.
pub fn read(path: &Path, depth: usize, model: Option<&str>) -> Result<Vec<Stored>> {
    let mut folders = Vec::new();
    find(path, depth, &mut folders)?;
    folders.iter().map(|folder| read_one(folder, model)).collect()
}

fn read_one(folder: &Path, wanted: Option<&str>) -> Result<Stored> {
    let env = read_env(folder)?;
    // raw.json says it as well, and takes a thousand times longer to read.
    if let (Some(wanted), Some(model)) = (wanted, env["gpu"]["name"].as_str())
        && model != wanted
    {
        return Ok((Run { model: Some(model.to_owned()), ..Run::default() }, Vec::new()));
    }
    let raw = read::raw(folder)?;
    let peaks = read_peaks(folder)?;
    let mut rows = Vec::new();
    for row in &raw.measurements {
        let point = row.point();
        let timed = match row {
            Row::Failed(row) => Err(row.error_kind),
            Row::Measured(row) => {
                ensure_consistent(row)
                    .with_context(|| format!("{}: {}", folder.display(), point.case_id))?;
                Ok(timed(row))
            }
        };
        rows.push((
            point.case_id.clone(),
            Entry { run: 0, shape: point.shape, dtype: point.dtype, timed },
        ));
    }
    Ok((run(&raw, &env, peaks), rows))
}

fn timed(row: &Measured) -> Timed {
    Timed {
        provider: row.provider,
        p50_ms: row.timing.p50,
        cycles: row.cycles_p50,
        bound: row.derived.of_peak.map(|share| share.bound),
        kernels: row.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
        grids: row.kernels.iter().map(|kernel| kernel.grid).collect(),
        clocks: row.clocks.clone(),
    }
}

fn run(raw: &Raw, env: &Value, peaks: Option<Peaks>) -> Run {
    let metadata = &raw.metadata;
    let (gpu, libraries) = (&env["gpu"], &env["libraries"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let is_complete = metadata.status == Status::Complete;
    let versions = [
        ("driver", &gpu["driver_version"]),
        ("PyTorch", &libraries["pytorch"]),
        ("cuBLAS", &libraries["cublas"]),
        ("cuDNN", &libraries["cudnn"]),
    ];
    let id = &metadata.run_id;
    let fault = env["settings"]["NIGHT_SWEEP_FAULT"].as_str();
    let fault = fault.map(|fault| format!("{id} was measured with an injected fault: {fault}"));
    let partial = (!is_complete).then(|| format!("{id} ended early: trials may be missing"));
    Run {
        id: id.clone(),
        model: metadata.device_name.clone().filter(|_| metadata.device != "cpu"),
        rank: (is_complete, metadata.started_at.parse().ok()),
        card: Card {
            uuid: text(&gpu["uuid"]),
            driver: text(&gpu["driver_version"]),
            power_limit_w: gpu["power_limit_w"].as_f64(),
            copy_gbs: peaks.map(|peaks| peaks.copy_gbs),
            fp16_tflops: peaks.map(|peaks| peaks.fp16_tflops),
        },
        versions: versions.into_iter().filter_map(|(of, value)| Some((of, text(value)?))).collect(),
        notes: fault.into_iter().chain(partial).collect(),
    }
}

/// What the card was measured to reach; none for a raw.json on its own.
fn read_peaks(dir: &Path) -> Result<Option<Peaks>> {
    if !folder::summary(dir).is_file() {
        return Ok(None);
    }
    Ok(read::summary(dir)?.calibration.and_then(|found| found.peaks))
}

impl Night {
    pub fn of(name: String, stored: Vec<Stored>) -> Night {
        let mut night = Night { name, runs: Vec::new(), cases: BTreeMap::new() };
        for (at, (run, rows)) in stored.into_iter().enumerate() {
            night.runs.push(run);
            for (id, entry) in rows {
                night.cases.entry(id).or_default().push(Entry { run: at, ..entry });
            }
        }
        night
    }

    /// Of these entries that of the newest complete run.
    pub fn newest<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Option<&'a Entry> {
        entries.max_by_key(|entry| self.runs[entry.run].rank)
    }
}
