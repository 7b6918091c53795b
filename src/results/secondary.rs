//! What stands beside the number of record: the samples of all rounds pooled.

use super::raw::{AsCalled, Cold, ColdTiming};
use crate::measure::record::{self, Aside, Visit};
use crate::stats::{Timing, median};

/// Single launches that waited behind others; none if none was made.
pub fn isolated(visits: &[&Visit]) -> Option<Timing> {
    Timing::of(&pooled(visits, |aside| &aside.isolated_ms))
}

/// Single launches on an idle GPU; none if none was made.
pub fn as_called(visits: &[&Visit]) -> Option<AsCalled> {
    let enqueue_us: Vec<f64> = asides(visits).map(|aside| aside.enqueue_us).collect();
    Some(AsCalled {
        enqueue_us: median(&enqueue_us)?,
        timing: Timing::of(&pooled(visits, |aside| &aside.as_called_ms))?,
    })
}

/// Launches with cold caches, or why there are none; none of both if nobody tried.
pub fn cold(visits: &[&Visit]) -> Option<Cold> {
    let (mut samples, mut sets) = (Vec::new(), 0);
    let mut refused = None;
    for cold in asides(visits).filter_map(|aside| aside.cold.as_ref()) {
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

fn asides<'a>(visits: &'a [&Visit]) -> impl Iterator<Item = &'a Aside> {
    visits.iter().filter_map(|visit| visit.aside.as_ref())
}

fn pooled<'a>(visits: &'a [&Visit], of: fn(&'a Aside) -> &'a Vec<f64>) -> Vec<f64> {
    asides(visits).flat_map(of).copied().collect()
}
