//! The minimum detectable effect: the smallest slowdown that a gate on this machine detects.

use statrs::distribution::{ContinuousCDF, Normal};

/// Suites in which one case may be called slower and is not.
const FALSE_POSITIVES: f64 = 0.01;
const POWER: f64 = 0.95;

/// The smallest slowdown, as a ratio less one, that `pairs` pairs detect in one of `cases` cases 19
/// times in 20, at one false positive in 100 suites. One pair has this standard deviation.
pub fn mde(deviation: f64, pairs: usize, cases: usize) -> f64 {
    let normal = Normal::standard();
    // 4.21 + 1.645 for 800 cases.
    let standard_errors =
        -normal.inverse_cdf(FALSE_POSITIVES / cases.max(1) as f64) + normal.inverse_cdf(POWER);
    (standard_errors * deviation / (pairs as f64).sqrt()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::mde;

    /// A pair of processes of 20 launches, 0.5 % between processes and 1 % between launches.
    #[test]
    fn the_floor_is_that_of_the_literature() {
        let deviation = (2.0f64 * (0.005f64.powi(2) + 1.571 * 0.01f64.powi(2) / 20.0)).sqrt();
        for (pairs, percent) in [(1, 4.8), (3, 2.7), (4, 2.4), (6, 1.9), (12, 1.4)] {
            let seen = 100.0 * mde(deviation, pairs, 800);
            assert!((seen - percent).abs() < 0.1, "{pairs} pairs: {seen} %");
        }
    }
}
