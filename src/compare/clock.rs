//! The SM clock as a covariate: a card that is warmer has a lower clock, and is slower in time
//! without being slower in cycles.
//!
//! The time of a kernel that is bound by arithmetic goes with 1 / clock, that of one bound by
//! memory does not. On H100s the time of G3's misaligned GEMMs goes with clock^-0.8, of its aligned
//! ones with clock^-0.2. So the exponent, the elasticity, is estimated for the cases of each
//! kernel: by least squares over how a case differs from itself, in time and in clock, from one
//! trial or pair of processes to the next. That a case got slower once and for all is not in these
//! differences. Points that fit badly are left out in turn (three robust deviations). Where a
//! kernel has few points, or its clock hardly moved, its elasticity is drawn towards that of all.

use crate::stats::deviation_of;
use std::collections::HashMap;

/// From fewer differences than this nothing is estimated.
const LEAST: usize = 20;
const ROUNDS: usize = 5;
/// How much the elasticities of kernels differ, as a standard deviation.
const BETWEEN_KERNELS: f64 = 0.3;
/// By how much an estimate may be off: what a clock that differs adds to the error of a ratio.
const UNSURE: f64 = 0.15;

/// What a case runs, as far as that says how its time goes with the clock.
pub type Kind = Vec<String>;

/// How a case differs from itself: `[ln time, ln clock]`.
pub type Difference = [f64; 2];

/// How strongly time falls as the clock rises, from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Elasticities {
    /// Of all cases together.
    pub overall: f64,
    of_kind: HashMap<Kind, f64>,
}

impl Elasticities {
    /// 0 where there are too few differences, or the clock did not move.
    pub fn of<'a>(differences: impl Iterator<Item = (&'a Kind, Difference)>) -> Elasticities {
        let mut kinds: HashMap<&Kind, Vec<Difference>> = HashMap::new();
        differences.for_each(|(kind, own)| kinds.entry(kind).or_default().push(own));
        let all: Vec<Difference> = kinds.values().flatten().copied().collect();
        if all.len() < LEAST {
            return Elasticities::default();
        }
        let Some(overall) = Fit::of(&all) else { return Elasticities::default() };
        let drawn = |own: &Vec<Difference>| {
            let prior = BETWEEN_KERNELS.powi(-2);
            let Some(fit) = Fit::of(own).filter(|fit| fit.deviation > 0.0) else {
                return overall.elasticity();
            };
            let information = fit.squares / fit.deviation.powi(2);
            let slope = (information * fit.slope + prior * overall.slope) / (information + prior);
            Fit { slope, ..fit }.elasticity()
        };
        Elasticities {
            overall: overall.elasticity(),
            of_kind: kinds.into_iter().map(|(kind, own)| (kind.clone(), drawn(&own))).collect(),
        }
    }

    pub fn of_kind(&self, kind: &Kind) -> f64 {
        self.of_kind.get(kind).copied().unwrap_or(self.overall)
    }
}

/// The standard error, in `ln time`, of a correction for this difference of clocks.
pub fn error(clock: f64) -> f64 {
    UNSURE * clock.abs()
}

struct Fit {
    slope: f64,
    /// Of the clocks that were kept.
    squares: f64,
    /// Of the times around the line.
    deviation: f64,
}

impl Fit {
    fn of(differences: &[Difference]) -> Option<Fit> {
        let (mut fit, mut most) = (None, f64::INFINITY);
        for _ in 0..ROUNDS {
            let slope = fit.as_ref().map_or(0.0, |fit: &Fit| fit.slope);
            let kept = differences.iter().filter(|[t, c]| (t - slope * c).abs() <= most);
            let sum = |of: fn(f64, f64) -> f64| kept.clone().map(|&[t, c]| of(t, c)).sum::<f64>();
            let squares = sum(|_, clock| clock * clock);
            if squares <= 0.0 {
                return None;
            }
            let slope = sum(|time, clock| time * clock) / squares;
            let distances: Vec<f64> =
                differences.iter().map(|[time, clock]| (time - slope * clock).abs()).collect();
            let deviation = deviation_of(&distances)?;
            most = 3.0 * deviation;
            fit = Some(Fit { slope, squares, deviation });
        }
        fit
    }

    fn elasticity(&self) -> f64 {
        (-self.slope).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::normal;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Time goes with clock^-`exponent`, but for noise of 0.2 %.
    fn differences(seed: u64, count: usize, exponent: f64) -> Vec<Difference> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let difference = |_| {
            let clock = 0.01 * normal(&mut rng);
            [0.002 * normal(&mut rng) - exponent * clock, clock]
        };
        (0..count).map(difference).collect()
    }

    fn kind(name: &str) -> Kind {
        vec![name.to_owned()]
    }

    fn overall(differences: &[Difference]) -> f64 {
        let kind = kind("x");
        Elasticities::of(differences.iter().map(|own| (&kind, *own))).overall
    }

    #[test]
    fn the_exponent_is_found_again_whatever_a_few_cases_do() {
        for exponent in [0.0, 0.65, 1.0] {
            let mut found = differences(3, 400, exponent);
            assert!((overall(&found) - exponent).abs() < 0.03, "{}", overall(&found));
            // A tenth of the cases jumped by 5 %, and the clock with them.
            for [time, clock] in found.iter_mut().take(40) {
                *time += 0.05;
                *clock += 0.01;
            }
            assert!((overall(&found) - exponent).abs() < 0.06, "{}", overall(&found));
        }
    }

    #[test]
    fn nothing_is_made_of_few_differences_or_of_a_clock_that_stood_still() {
        assert_eq!(overall(&differences(1, 19, 1.0)), 0.0);
        assert_eq!(overall(&[[0.01, 0.0]; 100]), 0.0);
        assert_eq!(overall(&[]), 0.0);
        // Time that rises with the clock is chance.
        assert_eq!(overall(&differences(2, 100, -1.0)), 0.0);
    }

    #[test]
    fn each_kernel_has_its_own_as_far_as_it_is_known() {
        let kinds = ["align1", "nvjet", "rare"].map(kind);
        let [align1, nvjet, rare] = [(300, 0.8), (60, 0.2), (2, 0.0)]
            .map(|(count, exponent)| differences(count as u64, count, exponent));
        let all = kinds.iter().zip([&align1, &nvjet, &rare]);
        let found =
            Elasticities::of(all.flat_map(|(kind, own)| own.iter().map(move |d| (kind, *d))));
        assert!((found.of_kind(&kinds[0]) - 0.8).abs() < 0.03, "{found:?}");
        assert!((found.of_kind(&kinds[1]) - 0.2).abs() < 0.06, "{found:?}");
        assert!(found.of_kind(&kinds[2]) <= found.overall, "{found:?}");
        assert_eq!(found.of_kind(&kind("never seen")), found.overall);
    }
}
