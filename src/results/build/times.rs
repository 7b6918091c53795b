//! The trials that a case has a time of, and its rates.

use crate::journal::{ByCase, Run};
use crate::measure::record::Trial;
use crate::results::peak;
use crate::results::raw::Derived;
use crate::stats::Timing;
use crate::workload::case::Case;
use crate::workload::{ErrorKind, Precision};
use anyhow::{Context, Result};

pub fn trials_of<'a>(
    by_case: &'a ByCase,
    case: &Case,
) -> std::result::Result<&'a [&'a Trial], (ErrorKind, String)> {
    let trials = by_case.trials(&case.id);
    match by_case.failure(&case.id) {
        Some(failure) if failure.error_kind != ErrorKind::Skipped || trials.is_empty() => {
            Err((failure.error_kind, failure.error.clone()))
        }
        None if trials.is_empty() => {
            Err((ErrorKind::Skipped, "the run ended before this case was measured".to_owned()))
        }
        _ => Ok(trials),
    }
}

pub fn derived(
    run: &Run,
    dtype: Precision,
    flops: f64,
    bytes: f64,
    samples_ms: &[f64],
    timing: &Timing,
) -> Result<Derived> {
    let peaks = run.header.calibration.and_then(|calibration| calibration.peaks);
    let tflops = |ms: f64| flops / (ms * 1e-3) / 1e12;
    let rates: Vec<f64> = samples_ms.iter().map(|&ms| tflops(ms)).collect();
    Ok(Derived {
        tflops_mean: tflops(timing.mean),
        tflops_stats: Timing::of(&rates).context("a sample")?,
        bandwidth_gbs_mean: bytes / (timing.mean * 1e-3) / 1e9,
        arithmetic_intensity: flops / bytes,
        of_peak: peaks.and_then(|peaks| peak::share(&peaks, dtype, flops, bytes, timing.p50)),
        effective_tflops: None,
    })
}
