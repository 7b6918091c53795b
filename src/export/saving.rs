//! What another point saves, where it is sure to save something.

use crate::advise::recommend::largest;
use crate::results::curve::cliff::AS_GOOD;
use crate::results::raw::Measured;
use serde::Serialize;
use std::collections::BTreeMap;

/// How much larger a dimension may become, as a fraction.
const MAX_OVERHEAD: f64 = 0.25;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// Median of the one over median of the other: so many times as fast.
    pub factor: f64,
    /// From the far ends of the 95 % intervals of both medians: wider than need be.
    pub factor_ci95: [f64; 2],
}

impl Saving {
    /// None where the interval of what is saved does not lie above zero, or is not known.
    pub fn of(own: &Measured, other: &Measured) -> Option<Saving> {
        let ([own_low, own_high], [low, high]) = (own.ci95_p50?, other.ci95_p50?);
        (own_low > high).then(|| Saving {
            factor: own.timing.p50 / other.timing.p50,
            factor_ci95: [own_low / high, own_high / low],
        })
    }
}

/// Of those that save something, the first within 0.5 % of the fastest.
pub fn best<'a, T>(
    own: &Measured,
    others: impl IntoIterator<Item = (T, &'a Measured)>,
) -> Option<(T, &'a Measured, Saving)> {
    let saving = |(what, row)| Some((what, row, Saving::of(own, row)?));
    let sure: Vec<(T, &Measured, Saving)> = others.into_iter().filter_map(saving).collect();
    let fastest = sure.iter().map(|(_, row, _)| row.timing.p50).min_by(f64::total_cmp)?;
    sure.into_iter().find(|(_, row, _)| row.timing.p50 <= fastest * AS_GOOD)
}

/// What may be taken in place of a dimension: those up to 25 % larger.
pub fn larger<T>(by_dim: &BTreeMap<usize, T>, dim: usize) -> impl Iterator<Item = (usize, &T)> {
    let others = by_dim.range(dim + 1..).map(|(&other, found)| (other, found));
    others.take_while(move |(other, _)| *other <= largest(dim, MAX_OVERHEAD))
}
