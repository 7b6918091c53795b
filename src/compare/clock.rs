//! The SM clock as a covariate: a card that is warmer has a lower clock, and is slower in time
//! without being slower in cycles.
//!
//! The time of a GEMM that is bound by arithmetic goes with 1 / clock, that of one bound by memory
//! does not, and most lie between: G3 and G4 on H100s go with clock^-0.65. So the exponent, the
//! elasticity, is estimated from the data: by least squares over many small differences of time and
//! clock, most of which have nothing to do with what is to be found. Points that fit badly, as
//! those of a case that did get slower, are left out in turn (three robust deviations).

use super::side::{Case, Run};
use crate::stats::{mean, median};

/// From fewer differences than this nothing is estimated.
const LEAST: usize = 20;
const ROUNDS: usize = 5;
/// A robust deviation is this times the median of the distances.
const DEVIATIONS: f64 = 3.0 * 1.4826;

/// How strongly time falls as the clock rises, from 0 to 1, by differences `[ln time, ln clock]`
/// from what is typical of their kind. 0 where there are too few, or the clock did not move.
pub fn elasticity(differences: &[[f64; 2]]) -> f64 {
    if differences.len() < LEAST {
        return 0.0;
    }
    let (mut slope, mut most) = (0.0, f64::INFINITY);
    for _ in 0..ROUNDS {
        let kept = differences.iter().filter(|[time, clock]| (time - slope * clock).abs() <= most);
        let sum = |of: fn(f64, f64) -> f64| kept.clone().map(|&[t, c]| of(t, c)).sum::<f64>();
        let squares = sum(|_, clock| clock * clock);
        if squares <= 0.0 {
            return 0.0;
        }
        slope = sum(|time, clock| time * clock) / squares;
        let distances: Vec<f64> =
            differences.iter().map(|[time, clock]| (time - slope * clock).abs()).collect();
        most = DEVIATIONS * median(&distances).unwrap_or_default();
    }
    (-slope).clamp(0.0, 1.0)
}

/// What is known of the clocks of two sides.
#[derive(Clone, Copy)]
pub struct Clocks {
    pub elasticity: f64,
    /// `ln` of the clock at which all are compared.
    common: f64,
}

impl Clocks {
    /// By the trials of these cases, each against the mean of its case in its run. 0 where a side
    /// has no clocks.
    pub fn of(cases: &[(&Case, &Case)]) -> Clocks {
        let all = || cases.iter().flat_map(|(base, cand)| [*base, *cand]);
        let clocks: Option<Vec<f64>> = all().map(Case::clock).collect();
        let Some(common) = clocks.and_then(|clocks| mean(&clocks)) else {
            return Clocks { elasticity: 0.0, common: 0.0 };
        };
        let differences = all().flat_map(|case| &case.runs).flat_map(within).collect::<Vec<_>>();
        Clocks { elasticity: elasticity(&differences), common }
    }

    /// The cases as they would be at one clock.
    pub fn equal(&self, cases: &[(&Case, &Case)]) -> Vec<(Case, Case)> {
        let run = |run: &Run| {
            let trials = run.trials.iter().zip(&run.clocks);
            let corrected =
                trials.map(|(time, clock)| time + self.elasticity * (clock - self.common));
            match run.clocks.is_empty() {
                true => run.clone(),
                false => Run { trials: corrected.collect(), ..run.clone() },
            }
        };
        let case = |case: &Case| Case { runs: case.runs.iter().map(run).collect(), ..case.clone() };
        cases.iter().map(|(base, cand)| (case(base), case(cand))).collect()
    }
}

fn within(run: &Run) -> Vec<[f64; 2]> {
    let (Some(time), Some(clock)) = (mean(&run.trials), mean(&run.clocks)) else {
        return Vec::new();
    };
    run.trials.iter().zip(&run.clocks).map(|(own, mhz)| [own - time, mhz - clock]).collect()
}

/// `ln` of time and of SM clock, candidate over base; none where a clock is not known.
pub fn as_it_was((base, cand): (&Case, &Case)) -> Option<[f64; 2]> {
    let level = |case: &Case| mean(&case.runs.iter().map(Run::level).collect::<Vec<_>>());
    Some([level(cand)? - level(base)?, cand.clock()? - base.clock()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::normal;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Time goes with clock^-`exponent`, but for noise of 0.2 %.
    fn differences(count: usize, exponent: f64) -> Vec<[f64; 2]> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let difference = |_| {
            let clock = 0.01 * normal(&mut rng);
            [0.002 * normal(&mut rng) - exponent * clock, clock]
        };
        (0..count).map(difference).collect()
    }

    #[test]
    fn the_exponent_is_found_again_whatever_a_few_cases_do() {
        for exponent in [0.0, 0.65, 1.0] {
            let mut found = differences(400, exponent);
            assert!((elasticity(&found) - exponent).abs() < 0.03, "{}", elasticity(&found));
            // A tenth of the cases got 5 % slower, and draw less power for it.
            for [time, clock] in found.iter_mut().take(40) {
                *time += 0.05;
                *clock += 0.01;
            }
            assert!((elasticity(&found) - exponent).abs() < 0.06, "{}", elasticity(&found));
        }
    }

    #[test]
    fn nothing_is_made_of_few_differences_or_of_a_clock_that_stood_still() {
        assert_eq!(elasticity(&differences(19, 1.0)), 0.0);
        assert_eq!(elasticity(&[[0.01, 0.0]; 100]), 0.0);
        assert_eq!(elasticity(&[]), 0.0);
        // Time that rises with the clock is chance.
        assert_eq!(elasticity(&differences(100, -1.0)), 0.0);
    }
}
