//! Secondary timings: the samples of all trials pooled.

use super::raw::{Cold, ColdTiming, PerCall};
use crate::measure::record::{self, Secondary, Trial};
use crate::stats::{Timing, median};

pub fn isolated(trials: &[&Trial]) -> Option<Timing> {
    Timing::of(&pooled(trials, |secondary| &secondary.isolated_ms))
}

pub fn per_call(trials: &[&Trial]) -> Option<PerCall> {
    let enqueue_us: Vec<f64> = secondaries(trials).map(|secondary| secondary.enqueue_us).collect();
    Some(PerCall {
        enqueue_us: median(&enqueue_us)?,
        timing: Timing::of(&pooled(trials, |secondary| &secondary.per_call_ms))?,
    })
}

/// Launches with cold caches, or why there are none; none of both if nobody tried.
pub fn cold(trials: &[&Trial]) -> Option<Cold> {
    let (mut samples, mut sets) = (Vec::new(), 0);
    let mut refused = None;
    for cold in secondaries(trials).filter_map(|secondary| secondary.cold.as_ref()) {
        match cold {
            record::Cold::Samples { buffer_sets, samples_ms } => {
                sets = *buffer_sets;
                samples.extend(samples_ms);
            }
            record::Cold::NotApplicable { reason } => refused = Some(reason),
        }
    }
    match Timing::of(&samples) {
        Some(timing) => Some(Cold::Measured(ColdTiming { buffer_sets: sets, timing })),
        None => Some(Cold::NotApplicable { not_applicable: refused?.clone() }),
    }
}

fn secondaries<'a>(trials: &'a [&Trial]) -> impl Iterator<Item = &'a Secondary> {
    trials.iter().filter_map(|trial| trial.secondary.as_ref())
}

fn pooled<'a>(trials: &'a [&Trial], of: fn(&'a Secondary) -> &'a Vec<f64>) -> Vec<f64> {
    secondaries(trials).flat_map(of).copied().collect()
}
