//! Secondary timings, described.

use super::raw::{Cold, ColdTiming, PerCall};
use crate::measure::record::{self, Secondary};
use crate::stats::Timing;

pub fn isolated(secondary: &Secondary) -> Option<Timing> {
    Timing::of(&secondary.isolated_ms)
}

pub fn per_call(secondary: &Secondary) -> Option<PerCall> {
    let timing = Timing::of(&secondary.per_call_ms)?;
    Some(PerCall { enqueue_us: secondary.enqueue_us, timing })
}

/// Launches with cold caches, or why there are none.
pub fn cold(secondary: &Secondary) -> Option<Cold> {
    match &secondary.cold {
        record::Cold::Samples { buffer_sets, samples_ms } => {
            let timing = Timing::of(samples_ms)?;
            Some(Cold::Measured(ColdTiming { buffer_sets: *buffer_sets, timing }))
        }
        record::Cold::NotApplicable { reason } => {
            Some(Cold::NotApplicable { not_applicable: reason.clone() })
        }
    }
}
