//! How much the GPUs of a node slow each other down, and which of them are outliers:
//! `--interference`.
//!
//! All run the same few cases, in the same order: one GPU after the other, alone, and then all at
//! the same time. Alone, the times tell the GPUs from each other; side by side over alone is what
//! they cost each other.

mod gpu;
pub(crate) mod output;
mod verdict;

use super::place::Place;
use super::request::Request;
use super::side_by_side::{Ended, Job, failed, side_by_side};
use super::state::FanOut;
use crate::compare::gate::spec::with_protocol;
use crate::compare::pair2::shift::evenly;
use crate::files::{self, Kind, write_atomically};
use crate::journal::home::is_of_a_bench;
use crate::journal::record::SCHEMA_VERSION;
use crate::journal::{self, FILE_NAME, Run};
use crate::measure::record::{Protocol, ProtocolKind};
use crate::process::child::{Cut, LIST, Watch, exactly};
use crate::process::signals::Signals;
use crate::terminal::say;
use anyhow::{Context, Result, ensure};
use gpu::Gpu;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Cases that are probed at most: spread over the sweep.
const CASES: usize = 12;
/// Trials over them on a GPU: seconds, so that processes which start together also measure
/// together; and on the CPU, where a trial takes long.
const TRIALS: [usize; 2] = [15, 5];
/// Seconds of burn-in at most: it ends at another moment on each GPU.
const BURN_IN_S: &str = "1";
const RUN_ID: &str = "probe";
const SPEC: &str = "spec.yaml";

const PROBE: Kind = Kind::of("the probe of a fan-out", |name, is_dir| {
    !is_dir && name == Path::new(SPEC) || is_of_a_bench(name, is_dir)
});

/// What was found; `<run id>.interference.json`.
#[derive(Serialize, Deserialize)]
pub struct Interference {
    pub schema_version: String,
    pub run_id: String,
    pub cases: Vec<String>,
    /// In the order of the shards.
    pub gpus: Vec<Gpu>,
    pub outliers: Vec<String>,
    /// From this many per cent off the median GPU on it is an outlier; absent for fewer than three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_limit_pct: Option<f64>,
    pub findings: Vec<String>,
}

/// Measures, unless an earlier start of the same fan-out did; none if somebody asked to stop.
pub fn measure(
    request: &Request,
    state: &FanOut,
    signals: &Signals,
) -> Result<Option<Interference>> {
    const FOUND: &str = "interference.json";
    if let Some(found) = state.folder.read(FOUND)? {
        return Ok(Some(found));
    }
    let home = state.folder.path("probe");
    // Of a fan-out that was killed.
    files::clear(&home, &PROBE)?;
    let found = probe(request, state, &home, signals);
    let strangers = files::clear(&home, &PROBE)?;
    if !strangers.is_empty() {
        say(&format!("night-sweep: {} stays: it did not write it", files::listed(&strangers)));
    }
    let Some(found) = found? else { return Ok(None) };
    state.folder.write(FOUND, &found)?;
    Ok(Some(found))
}

fn probe(
    request: &Request,
    state: &FanOut,
    home: &Path,
    signals: &Signals,
) -> Result<Option<Interference>> {
    files::claim(home, &PROBE)?;
    let is_cpu = request.places.iter().all(|place| place.uuid.is_none());
    let (kind, trials) = (ProtocolKind::Standard, TRIALS[usize::from(is_cpu)]);
    let protocol = Protocol { kind, warmup: 10, measure: 20, trials };
    let spec = home.join(SPEC);
    write_atomically(&spec, with_protocol(&request.spec.text, &protocol)?.as_bytes())?;

    let probe = |place: &Place| {
        let bench = request.bench(place).part(Some(&spec)).without("NIGHT_SWEEP_PROTOCOL");
        let bench = bench.without("NIGHT_SWEEP_ENERGY");
        bench.set("NIGHT_SWEEP_BURN_IN", BURN_IN_S)
    };
    let first = request.places.first().context("a fan-out has a place")?;
    let watch = Watch { signals, limit: LIST };
    let ids = match probe(first).cases(request.filter.as_deref(), &watch) {
        Err(error) if matches!(error.downcast_ref(), Some(Cut::Stopped(_))) => return Ok(None),
        ids => evenly(&ids?, CASES),
    };
    ensure!(!ids.is_empty(), "no case has an id that the filter matches");
    let filter = exactly(ids.iter().map(|id| &**id));

    let count = request.places.len();
    let job = |index: usize, how: &str| {
        let place = &request.places[index];
        let home = home.join(format!("{how}-{}", index + 1));
        let bench = probe(place)
            .arguments(["--discard-baseline", &filter])
            .set("CRITERION_HOME", &home)
            .set("NIGHT_SWEEP_RUN_ID", RUN_ID);
        Job {
            name: format!("probe of {}, {how}", place.name),
            command: bench.command(),
            log: state.folder.path("probe.log"),
            journal: home.join("night-sweep").join(RUN_ID).join(FILE_NAME),
        }
    };
    let alone = (0..count).map(|index| vec![job(index, "alone")]);
    let together = (0..count).map(|index| job(index, "side by side")).collect();
    let mut runs: Vec<Run> = Vec::new();
    for jobs in alone.chain([together]) {
        let journals: Vec<PathBuf> = jobs.iter().map(|job| job.journal.clone()).collect();
        let ended = match signals.code() {
            None => side_by_side(jobs, signals),
            Some(_) => return Ok(None),
        };
        failed(&ended, signals)?;
        if !ended.iter().all(Ended::is_done) {
            return Ok(None);
        }
        runs.extend(journals.iter().map(|path| journal::read(path)).collect::<Result<Vec<_>>>()?);
    }
    let (alone, together) = runs.split_at(count);
    let names: Vec<_> = request.places.iter().map(|place| place.name.clone()).collect();
    Ok(Some(of(&state.run_id, ids, &names, alone, together)))
}

fn of(
    run_id: &str,
    cases: Vec<String>,
    names: &[String],
    alone: &[Run],
    together: &[Run],
) -> Interference {
    let gpus = gpu::of_runs(names, &cases, alone, together);
    let limit_pct = verdict::limit_pct(&gpus);
    let outliers = gpus.iter().filter(|gpu| verdict::is_outlier(gpu, limit_pct));
    Interference {
        schema_version: SCHEMA_VERSION.to_owned(),
        run_id: run_id.to_owned(),
        outliers: outliers.map(|gpu| gpu.name.clone()).collect(),
        outlier_limit_pct: limit_pct,
        findings: verdict::findings(&gpus, limit_pct),
        cases,
        gpus,
    }
}

impl Interference {
    /// Writes it beside the run folder, where a report that is written again leaves it alone.
    pub fn write_beside(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.with_file_name(format!("{}.interference.json", self.run_id));
        // Of an earlier fan-out.
        let is_ours = |found: &[u8]| serde_json::from_slice::<Interference>(found).is_ok();
        files::replace_file(&path, &serde_json::to_vec_pretty(self)?, is_ours)?;
        Ok(path)
    }
}
