//! The level of a case on a host that does other things as well.
//!
//! A neighbour makes everything slower, by half and more, for seconds on end: in one process of a
//! pair and not in the other, and then again in the other. It does so to all cases of a trial
//! alike, which one process measures one after the other. So each trial says how a case compares
//! with the others in it, and the fastest trial how fast the process was.

use crate::compare::pair2::MIN_SUITE;
use crate::stats::median;

/// The level of each case, from `trials[case][trial]`: `ln` of its fastest sample in each trial,
/// for a neighbour only ever adds time. All cases have the same trials; few of them say nothing of
/// each other.
pub fn levels(trials: &[Vec<f64>]) -> Vec<f64> {
    let count = trials.iter().map(Vec::len).min().unwrap_or_default();
    let middle = |trial: usize| {
        let cases: Vec<f64> = trials.iter().map(|case| case[trial]).collect();
        median(&cases).unwrap_or_default()
    };
    let middles: Vec<f64> = match trials.len() {
        0..MIN_SUITE => vec![0.0; count],
        _ => (0..count).map(middle).collect(),
    };
    let whole = middles.iter().copied().reduce(f64::min).unwrap_or_default();
    let level = |case: &Vec<f64>| {
        let beside: Vec<f64> =
            case.iter().zip(&middles).map(|(own, middle)| own - middle).collect();
        median(&beside).unwrap_or_default() + whole
    };
    trials.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_a_neighbour_does_to_a_trial_says_nothing_of_a_case() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut process = |slowdown: f64| {
            let loads: Vec<f64> = (0..16).map(|_| 0.5 * rng.random::<f64>()).collect();
            let case = |case: usize| -> Vec<f64> {
                let own = case as f64 + if case == 3 { slowdown } else { 0.0 };
                loads.iter().map(|load| own + load).collect()
            };
            levels(&(0..8).map(case).collect::<Vec<_>>())
        };
        let (base, cand) = (process(0.0), process(0.05));
        let differences: Vec<f64> =
            cand.iter().zip(&base).map(|(cand, base)| cand - base).collect();
        let suite = median(&differences).unwrap();
        for (case, difference) in differences.iter().enumerate() {
            let expected = if case == 3 { 0.05 } else { 0.0 };
            assert!((difference - suite - expected).abs() < 1e-9, "{case}: {difference}");
        }
    }

    #[test]
    fn a_suite_that_slows_down_does_so_in_its_levels() {
        let trials = |level: f64| vec![vec![level; 4]; 6];
        assert_eq!(levels(&trials(1.5)), vec![1.5; 6]);
        assert_eq!(levels(&[vec![1.0, 2.0, 4.0]]), [2.0], "one case stands for itself");
        assert!(levels(&[]).is_empty());
    }
}
