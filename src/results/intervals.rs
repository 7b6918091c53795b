//! How sure the medians of a run are.

use super::raw::{Measured, Row};
use crate::stats::repeat::intervals95;

/// Half the interval of an adaptive row, as a share of its median, above which it is `imprecise`.
const PRECISION: f64 = 0.01;

/// Gives each row the interval in which the median of another run on this device lies. Trials of
/// all rows say how trials scatter, so it takes them all.
pub fn add(rows: &mut [Row], is_host: bool, is_adaptive: bool) {
    let mut rows: Vec<&mut Measured> = rows.iter_mut().filter_map(Row::measured_mut).collect();
    let trials: Vec<&[f64]> = rows.iter().map(|row| &*row.trial_p50).collect();
    let intervals = intervals95(&trials, is_host);
    for (row, factors) in rows.iter_mut().zip(intervals) {
        row.ci95_p50 = Some(factors.map(|factor| factor * row.timing.p50));
        if is_adaptive && factors[1] - 1.0 > PRECISION {
            row.flags.push("imprecise".to_owned());
        }
    }
}
