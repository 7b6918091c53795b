//! The raw.json of a run folder, read back. Whoever wrote it: what no run measures is refused.

use super::folder;
use super::raw::{Failed, Measured, Raw, Row, Shape};
use crate::files;
use crate::journal::record::SCHEMA_VERSION;
use crate::stats::Timing;
use crate::workload::limits::MAX_ELEMENTS;
use crate::workload::shape::{GemmShape, LowRankShape};
use anyhow::{Context, Error, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

/// Of a launch, in ms: from a millionth of a nanosecond to eleven days. Ratios of two are finite.
const TIMES_MS: RangeInclusive<f64> = 1e-12..=1e9;

/// Of an SM, in MHz.
const CLOCKS_MHZ: RangeInclusive<f64> = 1.0..=1e5;

/// Of a launch: times at clocks.
const CYCLES: RangeInclusive<f64> = 1e-9..=1e17;

const AGAIN: &str = "`night-sweep report` writes the folder again";

/// Reads a run folder, or its raw.json; either may be compressed.
pub fn raw(path: &Path) -> Result<Raw> {
    let file = if path.is_dir() { folder::raw(path) } else { path.to_owned() };
    let bytes = files::read_unzipped(&file, files::RUN_BYTES)
        .with_context(|| format!("cannot read {}: a run folder has a raw.json", file.display()))?;
    let raw: Raw = serde_json::from_slice(&bytes)
        .map_err(|error| broken_row(&bytes).unwrap_or_else(|| error.into()))
        .with_context(|| format!("{} is no raw.json of a run", file.display()))?;
    ensure_schema(&raw.schema_version).with_context(|| file.display().to_string())?;
    let mut ids = HashSet::new();
    for row in &raw.measurements {
        let id = &row.point().case_id;
        ensure!(ids.insert(id), "{}: {id} is in it twice; {AGAIN}", file.display());
        ensure_possible(row).with_context(|| format!("{}: {id}", file.display()))?;
    }
    Ok(raw)
}

/// The first row that is none, with the key: of an untagged enum serde says neither.
fn broken_row(bytes: &[u8]) -> Option<Error> {
    let raw: Value = serde_json::from_slice(bytes).ok()?;
    raw["measurements"].as_array()?.iter().find_map(|row| {
        let error = match row.get("error") {
            None => Measured::deserialize(row).err(),
            Some(_) => Failed::deserialize(row).err(),
        };
        let id = row["case_id"].as_str().unwrap_or("a row without case_id");
        Some(Error::msg(error?).context(id.to_owned()))
    })
}

/// A minor version only adds keys.
pub fn ensure_schema(version: &str) -> Result<()> {
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(version) == major(SCHEMA_VERSION),
        "schema version {version}, this program reads {SCHEMA_VERSION}"
    );
    Ok(())
}

pub fn ensure_dim(dim: usize) -> Result<()> {
    ensure!((1..MAX_ELEMENTS).contains(&dim), "dim {dim} is that of no tensor; {AGAIN}");
    Ok(())
}

/// Sums and products over a shape then fit.
fn ensure_shape(shape: Shape) -> Result<()> {
    let tensors = match shape {
        Shape::Gemm(GemmShape { m, n, k }) => vec![vec![m, k], vec![k, n], vec![m, n]],
        Shape::LowRank(LowRankShape { m, in_features, rank, out_features }) => {
            vec![vec![m, in_features], vec![in_features, rank], vec![rank, out_features]]
        }
        Shape::Layer { operations } => vec![vec![operations]],
        Shape::Sdpa(shape) => {
            let of = |heads, len| vec![shape.batch, heads, len, shape.head_dim];
            vec![of(shape.n_heads, shape.seq_len), of(shape.kv_heads(), shape.kv_len())]
        }
    };
    for dims in tensors {
        let elements = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        let fits = elements.is_some_and(|elements| (1..MAX_ELEMENTS).contains(&elements));
        ensure!(fits, "its shape has a tensor of {dims:?}, which no device holds; {AGAIN}");
    }
    Ok(())
}

pub fn ensure_time(name: &str, ms: f64) -> Result<()> {
    let shown = Value::from(ms);
    ensure!(TIMES_MS.contains(&ms), "{name} is {shown} ms, which no launch takes; {AGAIN}");
    Ok(())
}

fn ensure_possible(row: &Row) -> Result<()> {
    ensure_dim(row.point().dim)?;
    ensure_shape(row.point().shape)?;
    let Row::Measured(row) = row else { return Ok(()) };
    ensure_timing("timing", &row.timing)?;
    ensure!(!row.timing_raw.is_empty(), "timing_raw has no samples; {AGAIN}");
    for (name, times) in [("timing_raw", &row.timing_raw), ("trial_p50", &row.trial_p50)] {
        times.iter().try_for_each(|ms| ensure_time(name, *ms))?;
    }
    for mhz in &row.trial_sm_mhz {
        ensure!(
            CLOCKS_MHZ.contains(mhz),
            "trial_sm_mhz is {} MHz, which is no clock; {AGAIN}",
            Value::from(*mhz)
        );
    }
    for cycles in row.cycles_p50.iter().chain(&row.trial_cycles) {
        ensure!(
            CYCLES.contains(cycles),
            "{} are no SM cycles of a launch; {AGAIN}",
            Value::from(*cycles)
        );
    }
    Ok(())
}

fn ensure_timing(name: &str, timing: &Timing) -> Result<()> {
    let Timing { mean, min, max, p50, p90, p99, .. } = timing;
    [mean, min, max, p50, p90, p99].into_iter().try_for_each(|ms| ensure_time(name, *ms))
}
