//! Statistics of samples, as numpy computes them: the published reports come from there.

pub(crate) mod knapsack;
pub(crate) mod moderation;
pub(crate) mod repeat;
pub(crate) mod student;

use serde::{Deserialize, Serialize};

/// What describes a set of samples, in the unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the population (divided by count, as numpy's `std`).
    pub std: f64,
    /// Smallest sample.
    pub min: f64,
    /// Largest sample.
    pub max: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// How many samples.
    pub count: usize,
}

impl Timing {
    /// Describes `samples`; none if there are none.
    pub fn of(samples: &[f64]) -> Option<Timing> {
        let sorted = sorted(samples);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let mean = mean(&sorted)?;
        let variance = sorted.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / sorted.len() as f64;
        Some(Timing {
            mean,
            std: variance.sqrt(),
            min,
            max,
            p50: percentile(&sorted, 50.0)?,
            p90: percentile(&sorted, 90.0)?,
            p99: percentile(&sorted, 99.0)?,
            count: sorted.len(),
        })
    }
}

/// The arithmetic mean; none of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The median; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(&sorted(values), 50.0)
}

/// The values in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The `percent`-th percentile (0 to 100) of values in ascending order, interpolated linearly
/// between the two nearest as numpy's `percentile` does by default; none of nothing.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = (percent / 100.0).clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let fraction = position - below as f64;
    // From the nearer end, as numpy does: the result then never leaves [low, high].
    Some(if fraction < 0.5 {
        low + (high - low) * fraction
    } else {
        high - (high - low) * (1.0 - fraction)
    })
}

/// A confidence interval of the median at 95 % or a little more, from two of the samples
/// themselves; none for fewer than 6 samples, where there is no such interval.
///
/// The number of samples below the median is binomial with p = 1/2, whatever their distribution:
/// the interval leaves out as many samples at each end as fall there with a probability of at most
/// 2.5 %. See Conover, *Practical Nonparametric Statistics*, 3rd ed., section 3.2. It takes samples
/// to be independent; those of one trial are not entirely: hence the medians of the trials beside.
pub fn median_ci95(samples: &[f64]) -> Option<[f64; 2]> {
    let left_out = binomial_quantile(samples.len())?;
    let sorted = sorted(samples);
    Some([sorted[left_out], sorted[sorted.len() - 1 - left_out]])
}

/// The largest `r` with `P(X <= r) <= 0.025` for X binomial of `n` and 1/2; none if even `P(X = 0)`
/// is larger.
fn binomial_quantile(n: usize) -> Option<usize> {
    // In logarithms: 2^-n underflows from n = 1075 on.
    let mut ln_probability = -(n as f64) * std::f64::consts::LN_2;
    let mut cumulative = ln_probability.exp();
    let mut quantile = None;
    for r in 0..n {
        if cumulative > 0.025 {
            break;
        }
        quantile = Some(r);
        ln_probability += ((n - r) as f64 / (r + 1) as f64).ln();
        cumulative += ln_probability.exp();
    }
    quantile
}

/// The correlation of neighbours within the trials, `sum (x[i] - m) (x[i+1] - m) / sum (x[i] -
/// m)^2` with `m` the mean of the trial and both sums over all trials; none where all samples of
/// each trial are equal.
pub fn autocorrelation_lag1(trials: &[&[f64]]) -> Option<f64> {
    let (mut neighbours, mut squares) = (0.0, 0.0);
    for trial in trials {
        let Some(mean) = mean(trial) else { continue };
        neighbours += trial.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
        squares += trial.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    }
    (squares > 0.0).then(|| neighbours / squares)
}

/// How far the largest value lies above the smallest, in per cent; none for fewer than two.
pub fn spread_pct(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let (min, max) = (sorted.first()?, sorted.last()?);
    (sorted.len() > 1).then(|| (max / min - 1.0) * 100.0)
}

/// How far the median moved from the first half of the samples to the second, as a share of that of
/// all.
pub fn moved(samples: &[f64]) -> Option<f64> {
    let (first, second) = samples.split_at(samples.len() / 2);
    Some((median(second)? - median(first)?).abs() / median(samples)?)
}

/// Whether the median [`moved`] by more than 0.3 %, and by more than 2.5 standard errors of such a
/// difference, which follow from the intervals of both medians; fewer than 12 samples have none.
pub fn drifts(samples: &[f64]) -> bool {
    let (first, second) = samples.split_at(samples.len() / 2);
    let standard_error = |half: &[f64]| {
        // A 95 % interval is 1.96 standard errors to either side.
        median_ci95(half).map(|[low, high]| (high - low) / (2.0 * 1.96))
    };
    let drifts = || {
        let error = standard_error(first)?.hypot(standard_error(second)?);
        Some(moved(samples)? > (2.5 * error / median(samples)?).max(0.003))
    };
    drifts().unwrap_or(false)
}

/// A draw of the standard normal distribution (Box and Muller).
/// A robust standard deviation, from distances to the median: that of normal numbers whose median
/// distance is as large. None of nothing.
pub fn deviation_of(distances: &[f64]) -> Option<f64> {
    Some(1.4826 * median(distances)?)
}

#[cfg(test)]
pub(crate) fn normal(rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
    use rand::RngExt;
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-12 * expected.abs(), "{actual} is not {expected}");
    }

    /// `[x.mean(), x.std(), x.min(), x.max(), *np.percentile(x, [50, 90, 99])]`, numpy 2.
    #[test]
    fn the_same_as_numpy() {
        type Known = (&'static [f64], [f64; 7]);
        let known: [Known; 4] = [
            (
                &[0.826, 1.140, 1.551, 2.147, 1.545, 1.603, 1.485],
                [
                    1.4709999999999999,
                    0.3802363926371518,
                    0.826,
                    2.147,
                    1.545,
                    1.8206000000000002,
                    2.1143599999999996,
                ],
            ),
            (&[3.0], [3.0, 0.0, 3.0, 3.0, 3.0, 3.0, 3.0]),
            (&[2.0, 1.0], [1.5, 0.5, 1.0, 2.0, 1.5, 1.9, 1.99]),
            (
                &[5e-3, 7e-3, 6e-3, 6.5e-3],
                [0.006125, 0.000739509972887452, 0.005, 0.007, 0.00625, 0.00685, 0.006985],
            ),
        ];
        for (samples, expected) in known {
            let t = Timing::of(samples).unwrap();
            let actual = [t.mean, t.std, t.min, t.max, t.p50, t.p90, t.p99];
            for (actual, expected) in actual.into_iter().zip(expected) {
                assert_close(actual, expected);
            }
            assert_eq!(t.count, samples.len());
        }
    }

    #[test]
    fn nothing_has_no_statistics() {
        assert_eq!(Timing::of(&[]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(mean(&[]), None);
    }

    /// Ranks from exact binomial sums in integers; those up to 100 stand in the tables of the
    /// literature.
    #[test]
    fn the_interval_of_the_median_has_the_known_ranks() {
        for (n, low, high) in [
            (6, 1, 6),
            (10, 2, 9),
            (20, 6, 15),
            (50, 18, 33),
            (100, 40, 61),
            (600, 276, 325),
            (2000, 956, 1045),
        ] {
            let samples: Vec<f64> = (1..=n).map(f64::from).collect();
            assert_eq!(median_ci95(&samples), Some([f64::from(low), f64::from(high)]), "n = {n}");
        }
        assert_eq!(median_ci95(&[1.0; 5]), None);
        assert_eq!(median_ci95(&[]), None);
    }

    /// `a, b = x[:8] - x[:8].mean(), x[8:] - x[8:].mean()`, `(a[:-1] @ a[1:] + b[:-1] @ b[1:]) / (a
    /// @ a + b @ b)`, numpy 2.
    #[test]
    fn the_correlation_is_that_of_numpy() {
        let x = [
            0.992, 0.9787, 0.9763, 0.9805, 0.9918, 0.9929, 0.9874, 0.9795, 0.987, 1.0034, 1.0061,
            0.9938, 0.9842, 1.0002, 1.0022, 0.9849, 0.9841, 0.9724, 0.9661, 0.9613,
        ];
        assert_close(autocorrelation_lag1(&[&x[..8], &x[8..]]).unwrap(), 0.5540609471736062);
        assert_close(autocorrelation_lag1(&[&x]).unwrap(), 0.5644854333318406);
        // Trials at different levels, each of one value and noise that alternates: nothing of the
        // levels counts.
        let correlation = autocorrelation_lag1(&[&[1.0, 1.1, 1.0, 1.1], &[5.0, 5.1, 5.0, 5.1]]);
        assert!((correlation.unwrap() + 0.75).abs() < 1e-9, "{correlation:?}");
        assert_eq!(autocorrelation_lag1(&[&[1.0, 1.0], &[2.0]]), None);
        assert_eq!(autocorrelation_lag1(&[]), None);
    }

    #[test]
    fn the_spread_is_of_the_largest_over_the_smallest() {
        assert!((spread_pct(&[1.02, 1.0, 1.05]).unwrap() - 5.0).abs() < 1e-9);
        assert_eq!(spread_pct(&[1.0]), None);
        assert_eq!(spread_pct(&[]), None);
    }

    #[test]
    fn a_drift_has_to_be_large_and_beyond_chance() {
        let steady_then = |level: f64, noise: f64| -> Vec<f64> {
            let around = |level| (0..30).map(move |i| level * (1.0 + noise * f64::from(i % 5 - 2)));
            around(1.0).chain(around(level)).collect()
        };
        assert!(drifts(&steady_then(1.004, 1e-4)));
        assert!(drifts(&steady_then(0.996, 1e-4)));
        assert!(!drifts(&steady_then(1.002, 1e-4)), "too small");
        assert!(!drifts(&steady_then(1.004, 1e-2)), "lost in the noise");
        assert!(!drifts(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), "too few to tell");
        assert!(!drifts(&[]));
    }

    proptest! {
        #[test]
        fn a_correlation_lies_within_one(
            trials in prop::collection::vec(prop::collection::vec(1e-6f64..1e3, 0..50), 0..4),
        ) {
            let trials: Vec<&[f64]> = trials.iter().map(Vec::as_slice).collect();
            if let Some(correlation) = autocorrelation_lag1(&trials) {
                prop_assert!(correlation.abs() < 1.0, "{}", correlation);
            }
        }

        #[test]
        fn order_holds(samples in prop::collection::vec(1e-6f64..1e3, 1..300)) {
            let t = Timing::of(&samples).unwrap();
            let slack = 1e-9 * t.max;
            prop_assert!(t.min <= t.p50 && t.p50 <= t.p90 && t.p90 <= t.p99 && t.p99 <= t.max);
            prop_assert!(t.min - slack <= t.mean && t.mean <= t.max + slack);
            prop_assert!(t.std <= (t.max - t.min) / 2.0 + slack);
            if let Some([low, high]) = median_ci95(&samples) {
                prop_assert!(low <= t.p50 && t.p50 <= high);
            }
        }

        #[test]
        fn neither_order_nor_unit_matters(
            mut samples in prop::collection::vec(1e-6f64..1e3, 2..100), scale in 1e-3f64..1e3,
        ) {
            let before = Timing::of(&samples).unwrap();
            samples.reverse();
            samples.iter_mut().for_each(|x| *x *= scale);
            let after = Timing::of(&samples).unwrap();
            let pairs =
                [(before.mean, after.mean), (before.p50, after.p50), (before.p99, after.p99)];
            for (a, b) in pairs {
                prop_assert!((a * scale - b).abs() <= 1e-9 * b.abs());
            }
        }
    }
}
