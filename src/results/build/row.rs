//! A row, of the trials of its case.

use super::flags::flags;
use super::point::point;
use super::times::{derived, trials_of};
use crate::journal::{ByCase, Run};
use crate::results::raw::{Cold, Failed, Measured, Row, Variant};
use crate::results::{cycles, energy, secondary};
use crate::stats::{self, Timing};
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use crate::workload::operation::Operation;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

pub fn row(
    run: &Run,
    trials: &ByCase,
    case: &Case,
    variants: BTreeMap<String, Variant>,
) -> Result<Row> {
    let point = point(case)?;
    let (other, energy) = (trials.secondary(&case.id), trials.energy(&case.id));
    let trials = match trials_of(trials, case) {
        Ok(trials) => trials,
        Err((error_kind, error)) => {
            let backend_unsupported = error_kind == ErrorKind::Unsupported;
            let failed = Failed { point, error, error_kind, backend_unsupported, variants };
            return Ok(Row::Failed(Box::new(failed)));
        }
    };
    let last = trials.last().context("a trial")?;
    let timing_raw: Vec<f64> = trials.iter().flat_map(|trial| &trial.samples_ms).copied().collect();
    let timing = Timing::of(&timing_raw).context("a sample")?;
    let by_trial: Vec<&[f64]> = trials.iter().map(|trial| &*trial.samples_ms).collect();
    let trial_p50: Vec<f64> =
        trials.iter().filter_map(|trial| stats::median(&trial.samples_ms)).collect();
    let gemms = match &case.operation {
        Operation::GemmSequence(gemms)
        | Operation::GemmGrouped(gemms)
        | Operation::GemmConcurrent(gemms) => gemms.len(),
        _ => 1,
    };
    let (flops, bytes) = (case.operation.flops(), case.operation.bytes(case.dtype));
    let mut derived = derived(run, case.dtype, flops, bytes, &timing_raw, &timing)?;
    if matches!(case.operation, Operation::GemmSequence(_)) {
        derived.effective_tflops = Some(derived.tflops_mean);
    }
    let trial_sm_mhz: Vec<f64> = trials
        .iter()
        .filter_map(|trial| trial.clocks.as_ref().and_then(|clocks| clocks.counted_sm_mhz))
        .collect();
    let flags = flags(run, trials, &timing_raw, &trial_p50, &trial_sm_mhz);
    Ok(Row::Measured(Box::new(Measured {
        point,
        trials: trials.len(),
        total_measurements: timing_raw.len(),
        launches_per_sample: last.launches_per_sample,
        timing,
        total_latency_ms: (gemms > 1).then_some(timing.mean),
        ci95_p50: None,
        cycles_p50: cycles::p50(trials),
        trial_cycles: cycles::of_trials(trials).unwrap_or_default(),
        isolated: other.and_then(secondary::isolated),
        cold: cold_of(run, case).or_else(|| other.and_then(secondary::cold)),
        per_call: other.and_then(secondary::per_call),
        energy: energy.map(|energy| energy::of(energy, flops)),
        trial_sm_mhz,
        autocorrelation_lag1: stats::autocorrelation_lag1(&by_trial),
        trial_spread_pct: stats::spread_pct(&trial_p50),
        criterion: None,
        flags,
        timing_raw,
        trial_p50,
        kernels: last.ran.kernels.clone(),
        provider: last.ran.provider,
        pytorch: last.ran.pytorch.clone(),
        backend_selected: last.ran.backend_selected.clone(),
        backend_reason: last.ran.backend_reason.clone(),
        stand_in: last.ran.stand_in,
        padded_to: last.ran.padded_to,
        algorithm: last.ran.algorithm,
        verification: last.ran.verification,
        clocks: last.clocks.clone(),
        derived,
        variants,
    })))
}

/// Of an operation whose operands come from memory, on a GPU: its latency is the cold one.
fn cold_of(run: &Run, case: &Case) -> Option<Cold> {
    let is_cold = matches!(case.operation, Operation::Cold(_)) && run.header.device != "cpu";
    let not_applicable = "the latency itself is that of operands from memory".to_owned();
    is_cold.then_some(Cold::NotApplicable { not_applicable })
}
