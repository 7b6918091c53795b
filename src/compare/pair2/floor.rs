//! The noise floor: the smallest slowdown that a gate on this machine can be relied on to see.

/// How many standard errors of a difference a slowdown has to be to be seen 19 times in 20, at one false alarm in 100
/// suites of 800 cases: 4.21 + 1.645.
const STANDARD_ERRORS: f64 = 5.86;

/// The smallest slowdown, as a ratio less one, that `pairs` pairs are relied on to see where one pair has this
/// standard deviation.
pub fn smallest_seen(deviation: f64, pairs: usize) -> f64 {
    (STANDARD_ERRORS * deviation / (pairs as f64).sqrt()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::smallest_seen;

    /// A pair of processes of 20 launches, 0.5 % between processes and 1 % between launches.
    #[test]
    fn the_floor_is_that_of_the_literature() {
        let deviation = (2.0f64 * (0.005f64.powi(2) + 1.571 * 0.01f64.powi(2) / 20.0)).sqrt();
        for (pairs, percent) in [(1, 4.8), (3, 2.7), (4, 2.4), (6, 1.9), (12, 1.4)] {
            let seen = 100.0 * smallest_seen(deviation, pairs);
            assert!((seen - percent).abs() < 0.1, "{pairs} pairs: {seen} %");
        }
    }
}
