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
//!   [`drifts`](crate::stats::drifts); `clock_moved` where the SM clocks of the trials differ by
//!   more than 0.5 %, which explains many of both; `below_settled_clock` where one was below 95 %
//!   of the clock after burn-in; `power_capped` and `throttled: <reasons>` where the card said so
//!   during any trial.

mod flags;
mod point;
mod row;
mod times;
mod variants;

use super::raw::{CriterionEstimates, Measured, Metadata, Raw, Row};
use super::{criterion_files, intervals};
use crate::journal::Run;
use crate::journal::record::{CRITERION_VERSION, SCHEMA_VERSION, Status};
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use anyhow::Result;
use row::row;
use std::collections::HashMap;
use std::path::Path;
use variants::variants_of;

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
