//! Run folders: `raw.json` for the times, `env.json` for the machine.

use super::{Run, Stored, folders_in};
use crate::compare::comparison::Side;
use crate::device::torch::Versions;
use crate::files::{self, cannot};
use crate::measure::record::Protocol;
use crate::results::folder::is_run_folder;
use crate::results::raw::{Measured, Raw, Row};
use crate::results::read;
use crate::stats::median;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How deep below a folder its runs may lie: `target-reports/<group>/<run id>`.
const DEPTH: usize = 2;

/// What is wrong with a folder that holds none.
pub(in crate::compare) const NO_RUNS: &str =
    "no run folder, with a raw.json, and none at `<run id>` or `<group>/<run id>` in it";

/// Reads the run of a folder, or all runs below it.
pub fn read(path: &Path) -> Result<Stored> {
    let mut folders = Vec::new();
    find(path, DEPTH, &mut folders)?;
    ensure!(!folders.is_empty(), "{}: {NO_RUNS}", path.display());
    let mut side = Stored {
        side: Side { name: path.display().to_string(), runs: vec![], device: None },
        is_host: false,
        conditions: BTreeMap::new(),
        circumstances: BTreeMap::new(),
        cases: BTreeMap::new(),
        notes: vec![],
    };
    for folder in folders {
        add(&mut side, &folder).with_context(|| path.display().to_string())?;
    }
    Ok(side)
}

pub(in crate::compare) fn find(
    path: &Path,
    depth: usize,
    folders: &mut Vec<PathBuf>,
) -> Result<()> {
    if path.is_file() || is_run_folder(path) {
        folders.push(path.to_owned());
        return Ok(());
    }
    let below = folders_in(path)?;
    match depth {
        0 => Ok(()),
        _ => below.iter().try_for_each(|path| find(path, depth - 1, folders)),
    }
}

fn add(side: &mut Stored, folder: &Path) -> Result<()> {
    let raw = read::raw(folder)?;
    let env = read_env(folder)?;
    side.is_host |= raw.metadata.device == "cpu";
    let run_id = &raw.metadata.run_id;
    ensure!(!side.side.runs.contains(run_id), "the run {run_id} is in it twice");
    for (what, here) in conditions(&raw, &env) {
        let before = side.conditions.entry(what.clone()).or_insert_with(|| here.clone());
        ensure!(
            *before == here,
            "{what} is {here} in {run_id}, and {before} in the runs before it; compare them apart"
        );
    }
    for (what, here) in circumstances(&raw, &env) {
        let before = side.circumstances.entry(what).or_insert_with(|| here.clone());
        if !before.split(", ").any(|before| before == here) {
            *before = format!("{before}, {here}");
        }
    }
    if let Some(fault) = env["settings"]["NIGHT_SWEEP_FAULT"].as_str() {
        side.notes.push(format!("{run_id} was measured with an injected fault: {fault}"));
    }
    if raw.metadata.status != crate::journal::record::Status::Complete {
        side.notes.push(format!("{run_id} ended early: not every case has all its trials"));
    }
    side.side.device = Some(raw.metadata.device_title());
    side.side.runs.push(run_id.clone());
    for row in &raw.measurements {
        let case = side.cases.entry(row.point().case_id.clone()).or_default();
        match row {
            Row::Failed(failed) => {
                case.error = Some(format!("{}: {}", failed.error_kind.name(), failed.error));
            }
            Row::Measured(row) => {
                ensure_consistent(row)
                    .with_context(|| format!("{}: {}", folder.display(), row.point.case_id))?;
                case.runs.extend(trials(row));
                case.kernels = row.kernels.iter().map(|kernel| kernel.name.clone()).collect();
                let new = row.flags.iter().filter(|flag| !case.flags.contains(flag));
                let new: Vec<String> = new.cloned().collect();
                case.flags.extend(new);
            }
        }
    }
    Ok(())
}

/// The trials of a row, as they were: those of an adaptive run differ in their number of samples.
fn trials(row: &Measured) -> Option<Run> {
    let run = Run::of_trials(&row.trial_p50, row.timing_raw.clone())?;
    Some(run.with_clocks(&row.trial_sm_mhz))
}

/// Refuses a row whose times contradict each other: somebody changed some of them.
pub(in crate::compare) fn ensure_consistent(row: &Measured) -> Result<()> {
    let Measured { timing_raw, trial_p50, timing, .. } = row;
    let says = "contradict each other: `night-sweep report` writes the folder again";
    let Some(middle) = median(timing_raw) else { return Ok(()) };
    ensure!(is_close(middle, timing.p50), "timing_raw and the p50 of timing {says}");
    ensure!(!trial_p50.is_empty(), "timing_raw and trial_p50 {says}");
    // Which samples a trial has is not known, but the median of all lies among those of the trials.
    let low = trial_p50.iter().copied().fold(f64::INFINITY, f64::min);
    let high = trial_p50.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_among =
        (low <= middle && middle <= high) || [low, high].iter().any(|p50| is_close(*p50, middle));
    let mut sorted = timing_raw.clone();
    sorted.sort_by(f64::total_cmp);
    let is_same = is_among && trial_p50.iter().all(|p50| is_median(*p50, &sorted));
    ensure!(is_same, "timing_raw and trial_p50 {says}");
    Ok(())
}

/// Whether it can be the median of some of these: it is one of them, or in the middle of two.
fn is_median(value: f64, sorted: &[f64]) -> bool {
    let (mut low, mut high) = (0, sorted.len() - 1);
    while low <= high {
        match sorted[low] / 2.0 + sorted[high] / 2.0 {
            middle if is_close(middle, value) => return true,
            middle if middle < value => low += 1,
            _ if high == 0 => return false,
            _ => high -= 1,
        }
    }
    false
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Null where there is none, as for a raw.json on its own.
pub(in crate::compare) fn read_env(folder: &Path) -> Result<Value> {
    let folder = if folder.is_file() { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join("env.json");
    let bytes = match files::read(&path, files::LARGE_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Value::Null),
        read => read.with_context(cannot("read", &path))?,
    };
    let env: Map<String, Value> = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no env.json of a run", path.display()))?;
    Ok(env.into())
}

/// What two runs have to share for a difference to be the build's.
fn conditions(raw: &Raw, env: &Value) -> Vec<(String, String)> {
    let is_cpu = raw.metadata.device == "cpu";
    let Protocol { kind, warmup, measure, trials } = raw.metadata.protocol;
    let protocol = format!("{}, warmup {warmup}, measure {measure}, trials {trials}", kind.name());
    let schema = raw.schema_version.split('.').next().unwrap_or_default();
    let mut conditions = vec![
        // A minor version only adds keys.
        ("the schema".to_owned(), schema.to_owned()),
        ("the device".to_owned(), if is_cpu { "cpu" } else { "cuda" }.to_owned()),
        ("the model".to_owned(), raw.metadata.device_name.clone().unwrap_or_default()),
        // Of each experiment: a side may hold several.
        (format!("the protocol of {}", raw.experiment), protocol),
        // The ids of stand-ins are those of PyTorch's.
        (format!("PyTorch in {}", raw.experiment), pytorch(raw)),
    ];
    if !is_cpu {
        conditions.push(("the driver".to_owned(), text(&env["gpu"]["driver_version"])));
    }
    conditions
}

fn pytorch(raw: &Raw) -> String {
    match raw.stand_ins().is_empty() {
        true => Versions::list(raw.measured().filter_map(|row| row.pytorch.as_ref())),
        false => "stand-ins".to_owned(),
    }
}

/// What may be what is compared, and should be known if it is not.
fn circumstances(raw: &Raw, env: &Value) -> Vec<(String, String)> {
    let of = |name: &str, value: &Value| (name.to_owned(), text(value));
    let mut circumstances = vec![
        of("git revision", &env["software"]["git_revision"]),
        of("rustc", &env["software"]["rustc"]),
        ("seed".to_owned(), raw.metadata.seed.to_string()),
    ];
    if raw.metadata.device != "cpu" {
        for library in ["cublas", "cudnn", "nvrtc"] {
            circumstances.push(of(library, &env["libraries"][library]));
        }
        circumstances.push(of("GPU uuid", &env["gpu"]["uuid"]));
    }
    circumstances
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
