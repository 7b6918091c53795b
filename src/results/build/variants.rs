//! What was measured beside a row, to compare it with.

use super::times::{derived, trials_of};
use crate::journal::{ByCase, Run};
use crate::measure::record::Trial;
use crate::results::raw::Variant;
use crate::stats::Timing;
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use std::collections::BTreeMap;

const PART: &str = "part_";

pub fn variants_of(run: &Run, trials: &ByCase, cases: &[&Case]) -> BTreeMap<String, Variant> {
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
