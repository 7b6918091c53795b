//! One dimension, by itself: which larger one is faster, and why.

use super::input::Item;
use super::times::{Time, Times};
use crate::device::kernel::in_words;
use crate::results::curve::cliff::AS_GOOD;
use crate::results::curve::kernel::KernelChange;
use crate::units::ratio;
use serde::Serialize;

/// What to use in place of a dimension. What was not measured is null.
#[derive(Debug, Serialize)]
pub struct Recommendation {
    pub name: Option<String>,
    pub dim: usize,
    /// The smallest dimension within 0.5 % of the fastest of those that may be used, possibly `dim`
    /// itself; null where none of them was measured.
    pub recommended_dim: Option<usize>,
    pub p50_ms: Option<f64>,
    pub recommended_p50_ms: Option<f64>,
    pub saved_ms: Option<f64>,
    /// An interval of it, from the far ends of the 95 % intervals of both medians: wider than need
    /// be.
    pub saved_ci95_ms: Option<[f64; 2]>,
    pub saved_pct: Option<f64>,
    /// How much larger the recommended dimension is, and with it the tensors that have it, in per
    /// cent.
    pub memory_overhead_pct: Option<f64>,
    /// What runs here and there; null where the same kernels run, or none is known.
    pub kernel_change: Option<KernelChange>,
    pub reason: String,
}

/// The last dimension that is no more than `max_overhead` above `dim`.
pub(crate) fn largest(dim: usize, max_overhead: f64) -> usize {
    // 10 % of 110 is 11, whatever 0.1 is in binary.
    dim + (dim as f64 * max_overhead + 1e-9) as usize
}

/// Recommends a dimension from `item.dim` to `max_overhead` above it, as a fraction.
pub fn recommend(times: &Times, item: &Item, max_overhead: f64) -> Recommendation {
    let dim = item.dim;
    let high = largest(dim, max_overhead);
    let own = times.at(dim);
    let chosen = as_good_as_the_fastest(times, dim, high);
    let saved_ms = own.zip(chosen).map(|(own, (_, other))| own.p50_ms - other.p50_ms);
    let kernel_change = own
        .zip(chosen)
        .and_then(|(own, (_, other))| KernelChange::between(&own.kernels, &other.kernels));
    let reason = match chosen {
        Some(chosen) => reason(times, dim, high, chosen, kernel_change.as_ref()),
        None => nothing_measured(times, dim, high),
    };
    Recommendation {
        name: item.name.clone(),
        dim,
        recommended_dim: chosen.map(|(dim, _)| dim),
        p50_ms: own.map(|own| own.p50_ms),
        recommended_p50_ms: chosen.map(|(_, time)| time.p50_ms),
        saved_ms,
        saved_ci95_ms: own.zip(chosen).and_then(|(own, (to, time))| {
            if to == dim {
                return Some([0.0, 0.0]);
            }
            saving_ci95_ms(own, time)
        }),
        saved_pct: own.zip(saved_ms).map(|(own, saved)| 100.0 * saved / own.p50_ms),
        memory_overhead_pct: chosen.map(|(to, _)| (to as f64 / dim as f64 - 1.0) * 100.0),
        kernel_change,
        reason,
    }
}

fn saving_ci95_ms(own: &Time, other: &Time) -> Option<[f64; 2]> {
    let ([own_low, own_high], [low, high]) = (own.ci95_ms?, other.ci95_ms?);
    Some([own_low - high, own_high - low])
}

/// Whether it saves anything, as far as is known: too few samples have no interval.
fn is_sure(own: &Time, other: &Time) -> bool {
    saving_ci95_ms(own, other).is_none_or(|[low, _]| low > 0.0)
}

/// The next of those that are as good as the fastest. What may save nothing is not worth a change.
fn as_good_as_the_fastest(times: &Times, dim: usize, high: usize) -> Option<(usize, &Time)> {
    let is_worth_it = |other: usize, time: &Time| {
        other == dim || times.at(dim).is_none_or(|own| is_sure(own, time))
    };
    let within = || times.between(dim, high).filter(|(other, time)| is_worth_it(*other, time));
    let fastest = within().map(|(_, time)| time.p50_ms).min_by(f64::total_cmp)?;
    within().find(|(_, time)| time.p50_ms <= fastest * AS_GOOD)
}

fn reason(
    times: &Times,
    dim: usize,
    high: usize,
    (to, time): (usize, &Time),
    kernel_change: Option<&KernelChange>,
) -> String {
    let Some(own) = times.at(dim) else {
        let why = times.errors.get(&dim).map_or_else(
            || "was not measured".to_owned(),
            |error| format!("has no time ({error})"),
        );
        return format!("{why}; {to} is the best up to {high}");
    };
    let cliffs = &times.cliffs;
    let mut reasons = Vec::new();
    let cliff = cliffs.cliffs.iter().find(|cliff| cliff.dim == dim);
    if let Some(cliff) = cliff {
        reasons.push(format!(
            "a cliff: {} the time of {} (at least {})",
            ratio(cliff.ratio),
            cliff.pad_to,
            ratio(cliff.ratio_lower)
        ));
    }
    if to == dim && times.between(dim + 1, high).next().is_none() {
        reasons.push(format!("nothing above it was measured up to {high}"));
    } else if to == dim && times.between(dim + 1, high).any(|(_, time)| time.p50_ms < own.p50_ms) {
        reasons.push(format!("nothing measured up to {high} is sure to be faster"));
    } else if to == dim {
        reasons.push(format!("nothing measured up to {high} is faster"));
    } else if cliff.is_none_or(|cliff| cliff.pad_to != to) {
        let sure = if cliffs.suggestive.contains(&dim) { ", not sure to be a cliff" } else { "" };
        reasons.push(format!("{} the time of {to}{sure}", ratio(own.p50_ms / time.p50_ms)));
    }
    if let Some(KernelChange { from, to }) = kernel_change {
        reasons.push(format!("{} gives way to {}", in_words(from), in_words(to)));
    }
    reasons.join("; ")
}

fn nothing_measured(times: &Times, dim: usize, high: usize) -> String {
    let [first, last] = times.range();
    if dim > last || high < first {
        format!("outside what was measured, {first} to {last}")
    } else {
        format!("nothing from {dim} to {high} was measured")
    }
}
