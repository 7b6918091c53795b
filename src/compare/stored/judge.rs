//! What is a change: of the suite as a whole, and of a case beyond that.

use crate::compare::comparison::{Suite, Verdict};
use crate::compare::pair2::MIN_SUITE;
use crate::compare::ratio::Ratio;
use crate::stats::median;

/// Changes below 1 % are not called changes, whatever their p.
pub const LEAST_CHANGE: f64 = 0.00995;

/// Of the verdicts REGRESSED and IMPROVED, at most this share is wrong.
const FALSE_DISCOVERY: f64 = 0.05;

/// What the cases did as a whole, and what of it to take off: day-to-day variance may shift all of
/// them by some per cent, and a host by anything.
pub fn suite(ratios: &[Ratio], threshold: f64, is_host: bool) -> (Suite, f64) {
    let differences: Vec<f64> = ratios.iter().map(|ratio| ratio.difference).collect();
    let shift = median(&differences).filter(|_| differences.len() >= MIN_SUITE);
    let is_slower = shift.is_some_and(|shift| shift >= threshold.ln_1p());
    let is_taken_off = is_host || shift.is_some_and(|shift| shift.abs() < threshold.ln_1p());
    let suite = Suite { ratio: shift.map(f64::exp), is_slower, ..Suite::default() };
    (suite, shift.filter(|_| is_taken_off).unwrap_or_default())
}

pub fn judge(ratio: &Ratio, removed: f64, q: f64, threshold: f64) -> Verdict {
    let difference = ratio.difference - removed;
    let [low, high] = ratio.interval95().map(|end| end - removed);
    let is_change = difference.abs() >= LEAST_CHANGE;
    let is_ruled_out = low > -threshold.ln_1p() && high < threshold.ln_1p();
    match () {
        () if q <= FALSE_DISCOVERY && is_change && difference > 0.0 => Verdict::Regressed,
        () if q <= FALSE_DISCOVERY && is_change => Verdict::Improved,
        () if is_ruled_out && !(is_change && (low > 0.0 || high < 0.0)) => Verdict::Same,
        () => Verdict::Ambiguous,
    }
}
