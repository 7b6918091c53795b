//! What a run may measure at all. Whoever wrote a file: a median of times that no launch takes says
//! nothing, and sums over shapes that no device holds overflow.

use super::raw::{Cold, Row, Shape, Variant};
use crate::stats::Timing;
use crate::workload::limits::MAX_ELEMENTS;
use crate::workload::shape::{GemmShape, LowRankShape};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::ops::RangeInclusive;

/// Of a launch, in ms: from a millionth of a nanosecond to eleven days. Ratios of two are finite.
const TIMES_MS: RangeInclusive<f64> = 1e-12..=1e9;

/// Of an SM, in MHz.
const CLOCKS_MHZ: RangeInclusive<f64> = 1.0..=1e5;

/// Of a launch: times at clocks.
const CYCLES: RangeInclusive<f64> = 1e-9..=1e17;

pub fn dim(dim: usize) -> Result<()> {
    ensure!((1..MAX_ELEMENTS).contains(&dim), "dim {dim} is that of no tensor");
    Ok(())
}

/// Sums and products over a shape then fit.
fn shape(shape: Shape) -> Result<()> {
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
        ensure!(fits, "its shape has a tensor of {dims:?}, which no device holds");
    }
    Ok(())
}

pub fn time(name: &str, ms: f64) -> Result<()> {
    ensure!(TIMES_MS.contains(&ms), "{name} is {} ms, which no launch takes", Value::from(ms));
    Ok(())
}

pub fn row(row: &Row) -> Result<()> {
    dim(row.point().dim)?;
    shape(row.point().shape)?;
    for (name, variant) in row.variants() {
        if let Variant::Measured { timing: of_variant, .. } = variant {
            timing(name, of_variant)?;
        }
    }
    let Row::Measured(row) = row else { return Ok(()) };
    timing("timing", &row.timing)?;
    row.isolated.iter().try_for_each(|isolated| timing("isolated", isolated))?;
    row.per_call.iter().try_for_each(|per_call| timing("per_call", &per_call.timing))?;
    if let Some(Cold::Measured(cold)) = &row.cold {
        timing("cold", &cold.timing)?;
    }
    ensure!(!row.timing_raw.is_empty(), "timing_raw has no samples");
    for (name, times) in [("timing_raw", &row.timing_raw), ("trial_p50", &row.trial_p50)] {
        times.iter().try_for_each(|ms| time(name, *ms))?;
    }
    for mhz in &row.trial_sm_mhz {
        ensure!(
            CLOCKS_MHZ.contains(mhz),
            "trial_sm_mhz is {} MHz, which is no clock",
            Value::from(*mhz)
        );
    }
    for cycles in row.cycles_p50.iter().chain(&row.trial_cycles) {
        ensure!(CYCLES.contains(cycles), "{} are no SM cycles of a launch", Value::from(*cycles));
    }
    Ok(())
}

fn timing(name: &str, timing: &Timing) -> Result<()> {
    let Timing { mean, min, max, p50, p90, p99, .. } = timing;
    [mean, min, max, p50, p90, p99].into_iter().try_for_each(|ms| time(name, *ms))
}
