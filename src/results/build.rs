//! From a journal to the rows of raw.json.
//!
//! - A row pools the samples of its trials. What ran and the clocks are those of its last trial.
//! - A case that failed in any trial has no time, whatever it took before: a wrong result may have
//!   been wrong all along. Only one that was merely skipped keeps the trials it has.
//! - A case with neither a time nor a failure, in a run that was killed, is an error of kind
//!   `skipped`.
//! - Variants named `part_*` are GEMMs timed apart. They become one variant `sum_of_parts`: in each
//!   trial, the i-th samples of all parts are added up, as far as the part with the fewest samples
//!   goes.
//! - Flags: `fewer_trials`; `imprecise` where the adaptive protocol left half the interval of the
//!   median above 1 % of it; `unstable` where the medians of the trials differ by more than 2 %;
//!   `drifting` where that of the first half of all samples differs from that of the second, see
//!   [`stats::drifts`]; `clock_moved` where the SM clocks of the trials differ by more than 0.5 %,
//!   which explains many of both; `below_settled_clock` where one was below 95 % of the clock after
//!   burn-in; `power_capped` and `throttled: <reasons>` where the card said so during any trial.

use super::raw::{
    Cold, CriterionEstimates, Derived, Failed, Measured, Metadata, Point, Raw, Row, Shape, Variant,
};
use super::{criterion_files, cycles, energy, intervals, peak, secondary};
use crate::device::clocks::is_slowdown;
use crate::journal::record::{CRITERION_VERSION, SCHEMA_VERSION, Status};
use crate::journal::{ByCase, Run};
use crate::measure::record::Trial;
use crate::stats::{self, Timing};
use crate::workload::ErrorKind;
use crate::workload::Precision;
use crate::workload::case::Case;
use crate::workload::operation::Operation;
use crate::workload::shape::{GemmShape, LowRankShape};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// `trial_spread_pct` above which a row is `unstable`.
const UNSTABLE_PCT: f64 = 2.0;

/// Difference of the SM clocks of the trials above which `clock_moved`.
const MOVED_PCT: f64 = 0.5;
/// Share of the settled clock under which a row is `below_settled_clock`.
const SETTLED_SHARE: f64 = 0.95;

const PART: &str = "part_";

/// The rows of a run, and what the reader of the report should be warned of.
///
/// # Errors
/// If a variant belongs to no row, or a label has the name of a field.
pub fn raw(run: &Run, criterion_home: &Path) -> Result<(Raw, Vec<String>)> {
    let header = &run.header;
    let trials = run.by_case();
    let mut variants: HashMap<&str, Vec<&Case>> = HashMap::new();
    for case in header.cases.iter().filter(|case| case.variant.is_some()) {
        variants.entry(&case.row).or_default().push(case);
    }

    let (mut other_runs, mut broken) = (0, Vec::new());
    let mut measurements = Vec::new();
    for case in header.cases.iter().filter(|case| case.variant.is_none()) {
        let variants = variants_of(run, &trials, &variants.remove(&*case.id).unwrap_or_default());
        let mut row = row(run, &trials, case, variants)?;
        if let Row::Measured(measured) = &mut row {
            match criterion_estimates(criterion_home, measured) {
                Ok(None) => {}
                Ok(Some(None)) => other_runs += 1,
                Ok(Some(estimates)) => measured.criterion = estimates,
                // Of a process that was killed as it wrote them, or another that writes them now:
                // the journal has every sample.
                Err(error) => broken.push(error),
            }
        }
        measurements.push(row);
    }
    if let Some(case_id) = variants.keys().next() {
        anyhow::bail!("there are variants of {case_id}, which is no row of this run");
    }

    let missing = measurements.iter().any(is_incomplete);
    let complete = run.end.as_ref().is_some_and(|end| end.status == Status::Complete) && !missing;
    let metadata = Metadata {
        run_id: header.run_id.clone(),
        experiment_name: header.experiment.clone(),
        group: header.group.clone(),
        device: header.device.clone(),
        device_name: device_name(run),
        seed: header.seed,
        status: if complete { Status::Complete } else { Status::Partial },
        started_at: header.started_at.clone(),
        wall_s: run.wall_s(),
        protocol: header.protocol,
        shard: header.shard.clone(),
        night_sweep: env!("CARGO_PKG_VERSION").to_owned(),
        criterion: CRITERION_VERSION.to_owned(),
    };
    let mut warnings = Vec::new();
    if other_runs > 0 {
        warnings.push(format!(
            "Criterion's files of {other_runs} rows are of another run: its estimates are left \
             out there"
        ));
    }
    if let Some(first) = broken.first() {
        warnings.push(format!(
            "Criterion's files of {} rows cannot be read: its estimates are left out there \
             ({first:#})",
            broken.len()
        ));
    }
    let mut raw = Raw {
        schema_version: SCHEMA_VERSION.to_owned(),
        experiment: header.experiment.clone(),
        config: header.config.clone(),
        metadata,
        measurements,
    };
    intervals::add(&mut raw);
    Ok((raw, warnings))
}

fn trials_of<'a>(
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

fn row(
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

fn point(case: &Case) -> Result<Point> {
    const FIELDS: &str = "\
        isolated cold per_call energy trial_sm_mhz cycles_p50 trial_cycles algorithm case_id \
        series curve dim shape dtype trials total_measurements launches_per_sample timing \
        total_latency_ms timing_raw trial_p50 ci95_p50 autocorrelation_lag1 trial_spread_pct \
        criterion provider pytorch kernels backend_selected backend_reason stand_in padded_to \
        verification clocks flags derived variants error error_kind backend_unsupported";
    for label in case.labels.keys() {
        let is_field = FIELDS.split(' ').any(|field| field == label);
        ensure!(!is_field, "{}: a label may not be called {label}", case.id);
    }
    let shape = shape(&case.operation).with_context(|| case.id.clone())?;
    Ok(Point {
        case_id: case.id.clone(),
        series: case.series().to_owned(),
        curve: case.curve.clone(),
        dim: case.dim,
        labels: case.labels.clone(),
        shape,
        dtype: case.dtype,
    })
}

fn shape(operation: &Operation) -> Result<Shape> {
    Ok(match operation {
        Operation::Cold(warm) => shape(warm)?,
        Operation::Layer(parts) => Shape::Layer { operations: parts.len() },
        Operation::Gemm(gemm) | Operation::GemmBest(gemm) | Operation::GemmOnTheFly(gemm) => {
            Shape::Gemm(gemm.shape)
        }
        Operation::GemmSequence(gemms)
        | Operation::GemmGrouped(gemms)
        | Operation::GemmConcurrent(gemms) => {
            let first = gemms.first().context("an empty sequence")?;
            let n = gemms.iter().map(|gemm| gemm.shape.n).sum();
            Shape::Gemm(GemmShape { n, ..first.shape })
        }
        Operation::LowRank([first, second]) => Shape::LowRank(LowRankShape {
            m: first.shape.m,
            in_features: first.shape.k,
            rank: first.shape.n,
            out_features: second.shape.n,
        }),
        Operation::Sdpa(sdpa) | Operation::SdpaOnTheFly(sdpa) | Operation::SdpaKernelOnly(sdpa) => {
            Shape::Sdpa(sdpa.shape)
        }
    })
}

fn variants_of(run: &Run, trials: &ByCase, cases: &[&Case]) -> BTreeMap<String, Variant> {
    let name = |case: &Case| case.variant.clone().unwrap_or_default();
    let (parts, others): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| name(case).starts_with(PART));
    let mut variants: BTreeMap<String, Variant> =
        others.iter().map(|case| (name(case), variant(run, trials, &[case]))).collect();
    if !parts.is_empty() {
        variants.insert("sum_of_parts".to_owned(), variant(run, trials, &parts));
    }
    variants
}

fn variant(run: &Run, trials: &ByCase, cases: &[&Case]) -> Variant {
    let mut parts = Vec::new();
    for case in cases {
        match trials_of(trials, case) {
            Ok(trials) => parts.push(trials),
            Err((error_kind, error)) if cases.len() == 1 => {
                return Variant::Failed { error, error_kind };
            }
            Err((error_kind, error)) => {
                return Variant::Failed { error: format!("{}: {error}", case.id), error_kind };
            }
        }
    }
    let samples = sums(&parts);
    let kernels =
        parts.iter().filter_map(|trials| trials.last()).flat_map(|trial| trial.ran.kernels.clone());
    let flops = cases.iter().map(|case| case.operation.flops()).sum();
    let bytes = cases.iter().map(|case| case.operation.bytes(case.dtype)).sum();
    let timing = Timing::of(&samples);
    let dtype = cases[0].dtype;
    match timing.map(|timing| (timing, derived(run, dtype, flops, bytes, &samples, &timing))) {
        Some((timing, Ok(derived))) => {
            Variant::Measured { timing, kernels: kernels.collect(), derived }
        }
        _ => Variant::Failed {
            error: "no trial in which all parts were measured".to_owned(),
            error_kind: ErrorKind::Skipped,
        },
    }
}

fn sums<'a>(parts: &[&[&'a Trial]]) -> Vec<f64> {
    let Some((first, others)) = parts.split_first() else { return Vec::new() };
    let mut sums = Vec::new();
    for trial in *first {
        let same_trial = |trials: &&[&'a Trial]| -> Option<&'a [f64]> {
            trials.iter().find(|other| other.trial == trial.trial).map(|other| &*other.samples_ms)
        };
        let Some(others) = others.iter().map(same_trial).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let shortest = others.iter().map(|samples| samples.len()).min().unwrap_or(usize::MAX);
        let own = trial.samples_ms.iter().enumerate().take(shortest);
        sums.extend(own.map(|(i, ms)| ms + others.iter().map(|samples| samples[i]).sum::<f64>()));
    }
    sums
}

fn derived(
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

fn flags(
    run: &Run,
    trials: &[&Trial],
    timing_raw: &[f64],
    trial_p50: &[f64],
    trial_sm_mhz: &[f64],
) -> Vec<String> {
    let mut reasons: Vec<&str> = trials
        .iter()
        .filter_map(|trial| trial.clocks.as_ref())
        .flat_map(|clocks| clocks.throttle.iter().map(String::as_str))
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    let is_power_cap =
        |reason: &&str| reason.to_uppercase().replace([' ', '-'], "_").contains("POWER_CAP");
    let slowdowns: Vec<&str> =
        reasons.iter().copied().filter(|reason| is_slowdown(reason)).collect();
    let throttled = format!("throttled: {}", slowdowns.join(", "));
    let differ = |values: &[f64], pct| stats::spread_pct(values).is_some_and(|found| found > pct);
    let settled = run.header.calibration.and_then(|calibration| calibration.settled_sm_mhz);
    let below =
        |mhz: &f64| settled.is_some_and(|settled| *mhz < SETTLED_SHARE * f64::from(settled));
    let flags = [
        ("fewer_trials", trials.len() < run.header.protocol.trials),
        ("unstable", differ(trial_p50, UNSTABLE_PCT)),
        ("drifting", stats::drifts(timing_raw)),
        ("power_capped", reasons.iter().any(is_power_cap)),
        (&throttled, !slowdowns.is_empty()),
        ("clock_moved", differ(trial_sm_mhz, MOVED_PCT)),
        ("below_settled_clock", trial_sm_mhz.iter().any(below)),
    ];
    flags.into_iter().filter(|(_, is_so)| *is_so).map(|(flag, _)| flag.to_owned()).collect()
}

fn is_incomplete(row: &Row) -> bool {
    match row {
        Row::Measured(row) => row.flags.iter().any(|flag| flag == "fewer_trials"),
        Row::Failed(row) => row.error_kind == ErrorKind::Skipped,
    }
}

fn device_name(run: &Run) -> Option<String> {
    let env = &run.header.env;
    let name = if run.header.device == "cpu" { &env["host"]["cpu"] } else { &env["gpu"]["name"] };
    name.as_str().map(str::to_owned)
}

/// Criterion's samples are averages over equal numbers of ours: their mean tells whether they are
/// the same run's. None without files; none in it if they are of another run.
fn criterion_estimates(home: &Path, row: &Measured) -> Result<Option<Option<CriterionEstimates>>> {
    let Some(found) = criterion_files::read(home, &row.point.case_id)? else {
        return Ok(None);
    };
    let mean_ms = found.sample.mean_ns() * 1e-6;
    // Not `>`: NaN, from an empty sample, is no agreement either.
    let agrees = (mean_ms - row.timing.mean).abs() <= 1e-6 * row.timing.mean;
    if !agrees || found.id.full_id != row.point.case_id {
        return Ok(Some(None));
    }
    let estimates = found.estimates;
    let interval = &estimates.mean.confidence_interval;
    let is_95 = (interval.confidence_level - 0.95).abs() < 1e-9;
    Ok(Some(Some(CriterionEstimates {
        mean_ms: estimates.mean.point_estimate * 1e-6,
        mean_ci95_ms: is_95.then_some([interval.lower_bound * 1e-6, interval.upper_bound * 1e-6]),
        median_ms: estimates.median.point_estimate * 1e-6,
        std_dev_ms: estimates.std_dev.point_estimate * 1e-6,
    })))
}
