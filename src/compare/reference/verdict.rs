//! What is said of a class, with what cards of one model differ by.
//!
//! A kernel that is bound by memory takes equal time whatever the SM clock, and one that is bound
//! by the SMs takes equal cycles. So a difference is unexplained only where time *and* cycles both
//! differ in the same direction by more than the allowance.
//!
//! The figures beside the constants are of one H200 against runs of three others: 790 cases in 35
//! classes, with the same driver, libraries and kernels. The medians of attention of two H100s
//! differ by 1.7 % in time, and by less than 0.1 % in cycles.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much longer, or shorter, a class may take on a card, in time and in cycles. Seen in both:
/// from 2.1 % less (decode attention) to 0.8 % more (memory-bound GEMM).
const ALLOWANCE: f64 = 0.03;

/// The same for fewer than [`FEW`] cases, whose median says little more than one of them. Seen: of
/// single cases 99 % differ in both by -3.9 to +2.5 %, and all by -4.2 to +4.3 %.
const ALLOWANCE_OF_FEW: f64 = 0.05;

const FEW: usize = 5;

/// How far the SM clocks of two cards, or of a cool and a warm one, may lie apart at the same work.
/// Seen, with cycles that are equal within 2 %: from 7.8 % lower (short GEMMs in fp8) to 8.1 %
/// higher (a short run of attention, at 317 W rather than 686 W); in long runs by 2.7 %.
pub const CLOCKS_DIFFER: f64 = 0.10;

/// What is said of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Time and cycles are both above the allowance: the clock is not why. Fails.
    Slower,
    /// Time is above the allowance and cycles are not: the clock is lower than cards of a model
    /// differ by. The card is throttled or hot, or its power limit is lower. Fails.
    SlowerByItsClock,
    /// Time is below the allowance, and so are cycles, or the clock is higher than cards of a model
    /// differ by.
    Faster,
    /// Time is within the allowance, or cycles are and the clock is as clocks of cards of a model
    /// are.
    AsExpected,
}

impl Verdict {
    /// Whether it makes the card slower than expected.
    pub fn fails(self) -> bool {
        matches!(self, Verdict::Slower | Verdict::SlowerByItsClock)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Verdict::Slower => "slower",
            Verdict::SlowerByItsClock => "slower by its clock",
            Verdict::Faster => "faster",
            Verdict::AsExpected => "as expected",
        })
    }
}

pub fn allowance(cases: usize) -> f64 {
    if cases < FEW { ALLOWANCE_OF_FEW } else { ALLOWANCE }
}

/// Whether a ratio is as near to 1, up or down in logarithms.
pub fn is_within(ratio: f64, by: f64) -> bool {
    !above(ratio, by) && !below(ratio, by)
}

fn above(ratio: f64, by: f64) -> bool {
    ratio > 1.0 + by
}

fn below(ratio: f64, by: f64) -> bool {
    ratio < 1.0 / (1.0 + by)
}

/// From the ratios of a class, this card's over the reference's.
pub fn judge(time: f64, cycles: f64, clock: f64, allowance: f64) -> Verdict {
    match () {
        () if above(time, allowance) && above(cycles, allowance) => Verdict::Slower,
        () if above(time, allowance) && below(clock, CLOCKS_DIFFER) => Verdict::SlowerByItsClock,
        () if below(time, allowance) && below(cycles, allowance) => Verdict::Faster,
        () if below(time, allowance) && above(clock, CLOCKS_DIFFER) => Verdict::Faster,
        () => Verdict::AsExpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_and_cycles_together_are_unexplained() {
        for (time, cycles, verdict) in [
            (1.0, 1.0, Verdict::AsExpected),
            (1.029, 1.029, Verdict::AsExpected),
            // Bound by the SMs, at a clock 5 % lower, and at one 17 % lower.
            (1.06, 1.06 * 0.95, Verdict::AsExpected),
            (1.2, 1.2 * 0.83, Verdict::SlowerByItsClock),
            (1.06, 1.06, Verdict::Slower),
            // The clock is not all of it.
            (1.3, 1.3 * 0.83, Verdict::Slower),
            // Bound by memory: equal time, whatever the clock.
            (1.0, 0.83, Verdict::AsExpected),
            (1.01, 1.15, Verdict::AsExpected),
            (0.95, 0.95, Verdict::Faster),
            (0.95, 0.95 * 1.05, Verdict::AsExpected),
            (0.88, 0.88 * 1.13, Verdict::Faster),
            // What real cards of one model did: attention of a cool card, and short GEMMs.
            (0.9196, 0.9991, Verdict::AsExpected),
            (1.0465, 0.9946, Verdict::AsExpected),
            (0.9811, 0.9776, Verdict::AsExpected),
        ] {
            let found = judge(time, cycles, cycles / time, ALLOWANCE);
            assert_eq!(found, verdict, "{time} {cycles}");
        }
    }

    #[test]
    fn a_few_cases_have_to_differ_by_more() {
        assert_eq!([1, 4, 5, 500].map(allowance), [0.05, 0.05, 0.03, 0.03]);
        assert_eq!(judge(1.04, 1.04, 1.0, allowance(4)), Verdict::AsExpected);
        assert_eq!(judge(1.04, 1.04, 1.0, allowance(5)), Verdict::Slower);
    }
}
