//! Student's t.

use crate::stats::{mean, sorted};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Beyond so many degrees of freedom t is normal to all digits.
const NORMAL_FROM: f64 = 1e7;

/// A mean and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the values, divided by n - 1.
    pub deviation: f64,
    /// How many values.
    pub count: usize,
    /// Degrees of freedom of the deviation: n - 1, unless it was moderated by those of others.
    pub freedom: f64,
}

impl Mean {
    /// Of `values`; none for fewer than two, which have no deviation.
    pub fn of(values: &[f64]) -> Option<Mean> {
        let count = values.len();
        let mean = mean(values).filter(|_| count > 1)?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let freedom = count as f64 - 1.0;
        Some(Mean { mean, deviation: (squares / freedom).sqrt(), count, freedom })
    }

    /// Of `values` without the `cut` smallest and the `cut` largest, which count as the nearest
    /// ones left do (Yuen, The Two-Sample Trimmed t for Unequal Population Variances, Biometrika
    /// 61, 1974); `count` is what is left. None for fewer than two.
    pub fn trimmed(values: &[f64], cut: usize) -> Option<Mean> {
        let values = sorted(values);
        let kept = values.len().checked_sub(2 * cut).filter(|kept| *kept > 1)?;
        let inner = &values[cut..cut + kept];
        let (low, high) = (inner[0], inner[kept - 1]);
        let center = mean(inner)?;
        let pulled: Vec<f64> = values.iter().map(|value| value.clamp(low, high)).collect();
        let middle = mean(&pulled)?;
        let squares: f64 = pulled.iter().map(|value| (value - middle).powi(2)).sum();
        let freedom = kept as f64 - 1.0;
        Some(Mean { mean: center, deviation: (squares / freedom).sqrt(), count: kept, freedom })
    }

    pub fn error(&self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }

    /// Where the true mean lies with 95 % confidence.
    pub fn interval95(&self) -> [f64; 2] {
        let half = t95(self.freedom) * self.error();
        [self.mean - half, self.mean + half]
    }
}

/// The chance of `value` or more where it is t-distributed around zero with this standard error.
pub fn p_above(value: f64, error: f64, freedom: f64) -> f64 {
    if error <= 0.0 {
        // Values without any spread are either zero or beyond doubt.
        return if value > 0.0 { 0.0 } else { 1.0 };
    }
    let value = value / error;
    t(freedom).map_or_else(|| Normal::standard().sf(value), |t| t.sf(value))
}

/// The two-sided 95 % quantile.
pub fn t95(freedom: f64) -> f64 {
    let normal = || Normal::standard().inverse_cdf(0.975);
    t(freedom).map_or_else(normal, |t| t.inverse_cdf(0.975))
}

/// None where the distribution is normal.
fn t(freedom: f64) -> Option<StudentsT> {
    (freedom < NORMAL_FROM).then(|| StudentsT::new(0.0, 1.0, freedom).ok()).flatten()
}

/// The values of `p` adjusted by Benjamini and Hochberg: to call those below 5 % found is to be
/// wrong about 5 % of them.
pub fn false_discovery(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        least = least.min(p[index] * p.len() as f64 / (rank + 1) as f64);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual / expected - 1.0).abs() < 1e-6, "{actual} is not {expected}");
    }

    /// Mean and deviation by Python, quantiles of the tables, the tail by numerical integration.
    #[test]
    fn t_is_students() {
        let x = Mean::of(&[0.031, 0.012, 0.025, 0.04, -0.003, 0.022]).unwrap();
        assert_close(x.mean, 0.021166666666666667);
        assert_close(x.deviation, 0.015065412927187449);
        assert_close(t95(5.0), 2.5705818366147395);
        assert_close(t95(f64::INFINITY), 1.959963984540054);
        assert_close(p_above(4.0, 1.0, 11.0), 0.001043096783);
        assert_eq!(Mean::of(&[1.0]), None);
    }

    /// By hand: of 0.04, 0.045, 0.05 and 0.055, and the squares of these with 0.04 and 0.055 once
    /// more over h (h - 1).
    #[test]
    fn a_trimmed_mean_does_not_see_one_outlier() {
        let mut values = [0.05, 0.04, 0.06, 0.045, 0.055, -0.6];
        let trimmed = Mean::trimmed(&values, 1).unwrap();
        assert_close(trimmed.mean, 0.0475);
        assert_close(trimmed.error(), (2.375e-4f64 / 12.0).sqrt());
        assert_eq!(trimmed.count, 4);
        values[5] = -6e9;
        assert_eq!(Mean::trimmed(&values, 1), Some(trimmed));
        let (all, untrimmed) = (Mean::of(&values).unwrap(), Mean::trimmed(&values, 0).unwrap());
        assert_close(untrimmed.error(), all.error());
        assert_eq!(Mean::trimmed(&values[..3], 1), None);
    }

    #[test]
    fn without_spread_there_is_no_doubt() {
        let p = |values: &[f64]| {
            let mean = Mean::of(values).unwrap();
            p_above(mean.mean, mean.error(), mean.freedom)
        };
        assert_eq!((p(&[0.1, 0.1]), p(&[0.0, 0.0]), p(&[-0.1, -0.1])), (0.0, 1.0, 1.0));
    }

    /// `statsmodels.stats.multitest.multipletests(p, method="fdr_bh")`.
    #[test]
    fn false_discoveries_are_those_of_benjamini_and_hochberg() {
        let adjusted = false_discovery(&[0.01, 0.04, 0.03, 0.5]);
        for (actual, expected) in adjusted.iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
            assert_close(*actual, expected);
        }
        assert!(false_discovery(&[]).is_empty());
    }
}
