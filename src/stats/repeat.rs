//! Where the median of another run of the same case, on the same device, lies: what may be claimed
//! of a median that somebody will measure again.
//!
//! Samples of a trial follow each other by a fraction of a millisecond and agree with each other
//! (correlated at 0.97 on an H100), so their number says nothing of the next run. Trials lie far
//! apart, each with its operands elsewhere in memory: they show how far a run moves. Their variance
//! is moderated over the rows of the run. To it comes what processes differ by, which no single run
//! can show. The median of the next run moves as much as that of this one: hence the factor of two.

use super::moderation::moderate_by_kind;
use super::student::{Mean, t95};
use std::f64::consts::PI;

/// What processes differ by beyond their trials, as a standard deviation of the logarithm of a
/// median: runs of G3 and G4 on H100s and an H200, whose clocks differ by as much.
const BETWEEN_PROCESSES: f64 = 0.0015;
/// The same of a host, of a case beside the others of its run.
const BETWEEN_PROCESSES_ON_HOST: f64 = 0.01;
/// What trials of a case differ by where there is a single one.
pub const BETWEEN_TRIALS: f64 = 0.005;

/// For each case the interval, as factors of its median, that holds the median of another run 19
/// times in 20. `trials` are the medians of its trials.
pub fn intervals95(trials: &[&[f64]], is_host: bool) -> Vec<[f64; 2]> {
    intervals95_with(trials, None, is_host)
}

/// The same as it would be if each case had `count` trials that scatter as those it has.
pub fn intervals95_with(trials: &[&[f64]], count: Option<usize>, is_host: bool) -> Vec<[f64; 2]> {
    let logs = |medians: &[f64]| medians.iter().map(|median| median.ln()).collect::<Vec<_>>();
    let own = |medians: &&[f64]| match Mean::of(&logs(medians)) {
        Some(mean) => (mean.count, mean.deviation.powi(2), mean.freedom),
        None => (medians.len(), BETWEEN_TRIALS.powi(2), 0.0),
    };
    let own: Vec<(usize, f64, f64)> = trials.iter().map(own).collect();
    let moderated = moderate_by_kind(&own).into_iter().zip(&own);
    let factor = |((variance, freedom), &(own, ..)): ((f64, f64), &(usize, f64, f64))| {
        let more = count.unwrap_or(own);
        let (count, freedom) = (more, freedom + (more as f64 - own as f64).max(0.0));
        let half = half95(variance * of_median(count), freedom, between(variance, is_host));
        [(-half).exp(), half.exp()]
    };
    moderated.map(factor).collect()
}

fn between(of_trials: f64, is_host: bool) -> f64 {
    if is_host { between_on_host(of_trials) } else { BETWEEN_PROCESSES.powi(2) }
}

/// The variance between processes on a host: no less than that between the trials of one.
pub fn between_on_host(of_trials: f64) -> f64 {
    BETWEEN_PROCESSES_ON_HOST.powi(2).max(of_trials)
}

/// The variance of the median of `count` values over that of one. It is `PI / 2 count` for many
/// (Cramér, *Mathematical Methods of Statistics*, 28.5); this is 1 for one, and no less than the
/// exact one for the few between.
fn of_median(count: usize) -> f64 {
    PI / (2.0 * count as f64 + PI - 2.0)
}

/// Half an interval for the difference of two medians, each of an estimated variance with so many
/// degrees of freedom and of an assumed one beside it (Satterthwaite 1946).
fn half95(estimated: f64, freedom: f64, assumed: f64) -> f64 {
    let total = estimated + assumed;
    let freedom = match freedom > 0.0 {
        true => freedom * (total / estimated.max(f64::MIN_POSITIVE)).powi(2),
        false => f64::INFINITY,
    };
    t95(freedom) * (2.0 * total).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{median, median_ci95, normal};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Cases whose trials scatter by 0.1 %, and every fourth by 1 %, as those of G3 whose buffers
    /// are placed with more or less luck.
    const CASES: usize = 162;

    /// The samples of each trial of a case: a level of the run, one of each trial, and samples that
    /// follow each other, correlated at 0.97.
    fn run(rng: &mut ChaCha8Rng, case: usize, trials: usize) -> Vec<Vec<f64>> {
        let scatter = if case.is_multiple_of(4) { 0.01 } else { 0.001 };
        let process = 0.0015 * normal(rng);
        let trial = |_| {
            let level = process + scatter * normal(rng);
            let mut state = normal(rng);
            let sample = |_| {
                state = 0.97 * state + (1.0 - 0.97_f64.powi(2)).sqrt() * normal(rng);
                (level + 0.0005 * state).exp()
            };
            (0..20).map(sample).collect()
        };
        (0..trials).map(trial).collect()
    }

    fn covered(trials: usize) -> [f64; 2] {
        let mut rng = ChaCha8Rng::seed_from_u64(trials as u64);
        let mut runs = || (0..CASES).map(|case| run(&mut rng, case, trials)).collect::<Vec<_>>();
        let mut hits = [0; 2];
        for _ in 0..20 {
            let [one, other] = [runs(), runs()];
            let medians: Vec<Vec<f64>> = one
                .iter()
                .map(|trials| trials.iter().filter_map(|trial| median(trial)).collect())
                .collect();
            let slices: Vec<&[f64]> = medians.iter().map(Vec::as_slice).collect();
            let intervals = intervals95(&slices, false);
            for ((one, other), [low, high]) in one.iter().zip(&other).zip(intervals) {
                let (one, other) = (one.concat(), median(&other.concat()).unwrap());
                let p50 = median(&one).unwrap();
                hits[0] += usize::from((p50 * low..=p50 * high).contains(&other));
                let [low, high] = median_ci95(&one).unwrap();
                hits[1] += usize::from((low..=high).contains(&other));
            }
        }
        hits.map(|hits| hits as f64 / (20 * CASES) as f64)
    }

    #[test]
    fn an_interval_holds_the_median_of_another_run() {
        for trials in [2, 3, 5] {
            let [covered, of_samples] = covered(trials);
            assert!((0.90..=0.99).contains(&covered), "{trials} trials: {covered}");
            // What takes samples for independent does not.
            assert!(of_samples < 0.8, "{trials} trials: {of_samples}");
        }
    }

    #[test]
    fn a_single_trial_and_a_host_say_what_is_assumed() {
        let half = |trials: &[f64], is_host| intervals95(&[trials], is_host)[0][1].ln();
        let assumed = 1.96 * (2.0 * (BETWEEN_TRIALS.powi(2) + BETWEEN_PROCESSES.powi(2))).sqrt();
        assert!((half(&[1.0], false) - assumed).abs() < 1e-5);
        assert!(half(&[1.0], true) > half(&[1.0], false));
        assert!(half(&[1.0, 1.0, 1.0], false) >= 1.96 * 2f64.sqrt() * BETWEEN_PROCESSES * 0.999);
        assert!(half(&[1.0, 1.1, 0.9], true) > half(&[1.0, 1.1, 0.9], false));
        assert!(intervals95(&[], false).is_empty());
    }

    /// `numpy.median(numpy.random.randn(10**7, n), axis=1).var()`.
    #[test]
    fn the_variance_of_a_median_is_no_less_than_the_exact_one() {
        for (count, exact) in
            [(1, 1.0), (2, 0.5), (3, 0.4487), (4, 0.2982), (5, 0.2868), (9, 0.1661)]
        {
            let ours = of_median(count);
            assert!(ours >= exact * 0.975 && ours < exact * 1.25, "{count}: {ours}");
        }
    }
}
