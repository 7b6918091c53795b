//! The suite as a whole: whether all cases moved together, and whether the clock explains it.

use super::{Pair, Rules};
use crate::stats::student::{Mean, p_above};
use crate::stats::{mean, median};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuiteShift {
    /// How much the median case got slower, as a logarithm.
    pub shift: f64,
    /// The chance of so large a shift, to either side, were there none.
    pub p: f64,
    pub clock: Option<f64>,
    pub cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Fresh pairs do not show it again.
    Chance,
    /// The candidate ran at another SM clock, and that is all of it.
    Clock,
    Build,
}

pub fn evenly<T: Clone>(cases: &[T], count: usize) -> Vec<T> {
    let count = count.min(cases.len());
    (0..count).map(|at| cases[at * cases.len() / count].clone()).collect()
}

pub fn judge_shift(pairs: &[Pair], elasticity: f64, rules: &Rules) -> Option<SuiteShift> {
    let of_pair = |pair: &Pair| {
        let differences: Vec<f64> = pair.differences.iter().flatten().copied().collect();
        median(&differences)
    };
    let shifts: Vec<f64> = pairs.iter().filter_map(of_pair).collect();
    let found = Mean::of(&shifts)?;
    let p = 2.0 * p_above(found.mean.abs(), found.error(), found.count as f64 - 1.0);
    let clocks: Vec<f64> = pairs.iter().filter_map(Pair::clock).collect();
    let clock = mean(&clocks);
    // Bound by arithmetic, half the clock is twice the time, and the two cancel; G3 goes with less.
    let explained =
        |by: f64| clock.is_some_and(|c| (found.mean + by * c).abs() < rules.clock_tolerance);
    let is_clock = explained(1.0) || explained(elasticity);
    let cause = match () {
        () if p >= rules.shift_p || found.mean.abs() <= rules.suite_shift => Cause::Chance,
        () if is_clock => Cause::Clock,
        () => Cause::Build,
    };
    Some(SuiteShift { shift: found.mean, p, clock, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(shift: f64, clock: Option<f64>) -> Vec<Pair> {
        let noise = |pair: i32, case: i32| f64::from((pair * 7 + case * 3) % 5 - 2) * 5e-4;
        let pair = |pair| Pair {
            differences: (0..20).map(|case| Some(shift + noise(pair, case))).collect(),
            clocks: vec![clock; 20],
            kinds: vec![Vec::new(); 20],
        };
        (0..12).map(pair).collect()
    }

    fn cause(shift: f64, clock: Option<f64>) -> Cause {
        judge_shift(&pairs(shift, clock), 0.65, &Rules::default()).unwrap().cause
    }

    #[test]
    fn a_shift_is_of_the_build_unless_it_is_the_clocks() {
        assert_eq!(cause(0.02, None), Cause::Build);
        assert_eq!(cause(-0.02, None), Cause::Build);
        assert_eq!(cause(0.02, Some(-0.0195)), Cause::Clock);
        assert_eq!(cause(0.02, Some(-0.031)), Cause::Clock);
        assert_eq!(cause(0.02, Some(0.0)), Cause::Build);
        // A faster clock explains no slower suite.
        assert_eq!(cause(0.02, Some(0.02)), Cause::Build);
        assert_eq!(cause(0.005, None), Cause::Chance);
        let none =
            vec![Pair { differences: vec![None], clocks: vec![None], kinds: vec![Vec::new()] }];
        assert_eq!(judge_shift(&none, 0.0, &Rules::default()), None);
    }

    #[test]
    fn preset_cases_are_spread_over_the_suite() {
        let cases: Vec<usize> = (0..100).collect();
        assert_eq!(evenly(&cases, 4), [0, 25, 50, 75]);
        assert_eq!(evenly(&cases[..3], 20), [0, 1, 2]);
        assert!(evenly::<usize>(&[], 20).is_empty());
    }
}
