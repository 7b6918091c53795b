//! Moderated variances: each case's own, drawn towards that of all (Smyth 2004, *Linear models and
//! empirical Bayes methods for assessing differential expression*, section 6.2).
//!
//! Four pairs say little about the noise of a case; eight hundred cases say much about the noise of
//! a typical one.

use crate::stats::{mean, median};
use statrs::function::gamma::digamma;
use std::collections::HashMap;
use std::hash::Hash;

/// What all cases together say about a variance: `freedom` degrees of freedom around `variance`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Degrees of freedom; infinite where the cases do not differ in their noise.
    pub freedom: f64,
    pub variance: f64,
}

impl Prior {
    /// From the variances of the cases, each of `freedom` degrees of freedom; none without any
    /// case.
    pub fn of(variances: &[f64], freedom: f64) -> Option<Prior> {
        // A variance of exactly zero, as of times that stick to the clock's tick, has no logarithm.
        let least = (1e-5 * median(variances)?).max(1e-14);
        let half = freedom / 2.0;
        let e: Vec<f64> = variances
            .iter()
            .map(|variance| variance.max(least).ln() - digamma(half) + half.ln())
            .collect();
        let center = mean(&e)?;
        let spread = match e.len() {
            1 => 0.0,
            n => e.iter().map(|e| (e - center).powi(2)).sum::<f64>() / (n - 1) as f64,
        };
        let excess = spread - trigamma(half);
        if excess <= 0.0 {
            return Some(Prior { freedom: f64::INFINITY, variance: center.exp() });
        }
        let half = trigamma_inverse(excess);
        Some(Prior { freedom: 2.0 * half, variance: (center + digamma(half) - half.ln()).exp() })
    }

    pub fn moderate(&self, variance: f64, freedom: f64) -> f64 {
        if self.freedom.is_infinite() {
            return self.variance;
        }
        (self.freedom * self.variance + freedom * variance) / (self.freedom + freedom)
    }
}

/// Each variance, of so many degrees of freedom, drawn towards those of its own kind, and with
/// their degrees of freedom added. One of no degrees stays what it is. All of a kind have as many
/// degrees.
pub fn moderate_by_kind<K: Eq + Hash + Clone>(own: &[(K, f64, f64)]) -> Vec<(f64, f64)> {
    let mut kinds: HashMap<K, (Vec<f64>, f64)> = HashMap::new();
    for (kind, variance, freedom) in own.iter().filter(|(.., freedom)| *freedom > 0.0) {
        let (variances, of_kind) = kinds.entry(kind.clone()).or_default();
        variances.push(*variance);
        *of_kind = *freedom;
    }
    let prior = |(variances, freedom): (Vec<f64>, f64)| Prior::of(&variances, freedom);
    let priors: HashMap<K, Option<Prior>> =
        kinds.into_iter().map(|(kind, variances)| (kind, prior(variances))).collect();
    let moderated = |(kind, variance, freedom): &(K, f64, f64)| match priors.get(kind) {
        Some(Some(prior)) => (prior.moderate(*variance, *freedom), freedom + prior.freedom),
        _ => (*variance, *freedom),
    };
    own.iter().map(moderated).collect()
}

/// The second derivative of ln Γ.
fn trigamma(x: f64) -> f64 {
    // Recurrence up to where the asymptotic series is exact to 12 digits.
    let (mut x, mut sum) = (x, 0.0);
    while x < 15.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series =
        1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * 5.0 / 66.0)));
    sum + 1.0 / x + y / 2.0 + y / x * series
}

/// Where [`trigamma`] is `y > 0`, by the Newton iteration of Smyth's appendix, which rises to the
/// root from below.
fn trigamma_inverse(y: f64) -> f64 {
    if y > 1e7 {
        return 1.0 / y.sqrt();
    }
    if y < 1e-6 {
        return 1.0 / y;
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..50 {
        let value = trigamma(x);
        let slope = (trigamma(x * (1.0 + 1e-5)) - trigamma(x * (1.0 - 1e-5))) / (2e-5 * x);
        let step = value * (1.0 - value / y) / slope;
        x += step;
        if -step / x < 1e-8 {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::normal;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn trigamma_has_its_known_values_and_its_inverse() {
        let pi_squared = std::f64::consts::PI.powi(2);
        for (x, value) in
            [(1.0, pi_squared / 6.0), (0.5, pi_squared / 2.0), (2.0, pi_squared / 6.0 - 1.0)]
        {
            assert!((trigamma(x) / value - 1.0).abs() < 1e-10, "{x}: {}", trigamma(x));
        }
        for x in [0.02, 0.3, 1.5, 4.0, 60.0, 3000.0] {
            let back = trigamma_inverse(trigamma(x));
            assert!((back / x - 1.0).abs() < 1e-5, "{x}: {back}");
        }
    }

    /// A chi-squared variable of `freedom` degrees, divided by them.
    fn chi2(rng: &mut ChaCha8Rng, freedom: usize) -> f64 {
        (0..freedom).map(|_| normal(rng).powi(2)).sum::<f64>() / freedom as f64
    }

    #[test]
    fn the_prior_is_found_again() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let same: Vec<f64> = (0..3000).map(|_| 4.0 * chi2(&mut rng, 3)).collect();
        let prior = Prior::of(&same, 3.0).unwrap();
        assert!(prior.freedom > 60.0, "{prior:?}");
        assert!((prior.variance / 4.0 - 1.0).abs() < 0.1, "{prior:?}");

        // Variances that differ: 4 over a chi-squared of 8 degrees.
        let differing: Vec<f64> =
            (0..20_000).map(|_| 4.0 / chi2(&mut rng, 8) * chi2(&mut rng, 3)).collect();
        let prior = Prior::of(&differing, 3.0).unwrap();
        assert!((7.0..9.2).contains(&prior.freedom), "{prior:?}");
        assert!((prior.variance / 4.0 - 1.0).abs() < 0.05, "{prior:?}");
        let moderated = prior.moderate(40.0, 3.0);
        assert!(prior.variance < moderated && moderated < 40.0);
    }

    #[test]
    fn few_and_quiet_cases_have_a_prior_too() {
        assert_eq!(Prior::of(&[], 3.0), None);
        let one = Prior::of(&[2.0], 3.0).unwrap();
        assert!(one.freedom.is_infinite() && one.variance.is_finite());
        let zeros = Prior::of(&[0.0, 0.0, 1e-6], 3.0).unwrap();
        assert!(zeros.variance > 0.0 && zeros.moderate(0.0, 3.0) > 0.0);
    }
}
