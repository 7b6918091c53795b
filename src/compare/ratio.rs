//! How much slower a case of stored runs is, and how uncertain that is.
//!
//! Where a side has several runs, their spread is all of it. With one run a side, half a per cent
//! between processes is added to the spread of the trials. On a host it is 1 %, or as much again as
//! the trials of one process differ by, if that is more.

use super::clock;
use super::side::Case;
use crate::stats::mean;
use crate::stats::moderation::moderate_by_kind;
use crate::stats::repeat::between_on_host;
use crate::stats::student::{Mean, p_above, t95};

/// What a process does to a case, as a standard deviation of its logarithm, where nothing better is
/// known: that of another day, which is more than that of the next run.
const BETWEEN_PROCESSES: f64 = 0.005;

/// A ratio of medians, in logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// `ln(candidate / base)`.
    pub difference: f64,
    pub error: f64,
    pub freedom: f64,
}

pub fn ratios(cases: &[(Case, Case)], is_host: bool) -> Vec<Ratio> {
    let between = |variance: f64| match is_host {
        true => between_on_host(variance),
        false => BETWEEN_PROCESSES.powi(2),
    };
    let raw: Vec<Spread> = cases.iter().map(|(base, cand)| Spread::of(base, cand)).collect();
    // Cases with as many runs and trials have variances of as many degrees: those moderate each
    // other.
    let own: Vec<_> = raw.iter().map(|own| (own.kind(), own.variance, own.freedom)).collect();
    let moderated = moderate_by_kind(&own);
    type Moderated<'a> = (&'a Spread, (f64, f64));
    let ratio = |((spread, (variance, freedom)), (base, cand)): (Moderated, &(Case, Case))| {
        let levels = |case: &Case| mean(&levels(case)).unwrap_or_default();
        let difference = levels(cand) - levels(base);
        let own = variance * spread.weight;
        let of_clock = clock::error(base.clock().zip(cand.clock()).map_or(0.0, |(a, b)| b - a));
        if spread.is_of_runs {
            return Ratio { difference, error: own.sqrt().hypot(of_clock), freedom };
        }
        let assumed = 2.0 * between(variance) + of_clock.powi(2);
        let total = own + assumed;
        // Satterthwaite's, with an assumed part of no uncertainty.
        let freedom = if own > 0.0 { freedom * (total / own).powi(2) } else { f64::INFINITY };
        Ratio { difference, error: total.sqrt(), freedom }
    };
    raw.iter().zip(moderated).zip(cases).map(ratio).collect()
}

impl Ratio {
    /// The chance of a difference this far from `center`, to either side, were that the true one.
    pub fn p_around(&self, center: f64) -> f64 {
        (2.0 * p_above((self.difference - center).abs(), self.error, self.freedom)).min(1.0)
    }

    pub fn interval95(&self) -> [f64; 2] {
        let half = t95(self.freedom) * self.error;
        [self.difference - half, self.difference + half]
    }
}

struct Spread {
    variance: f64,
    freedom: f64,
    /// The variance of the difference is this times `variance`.
    weight: f64,
    /// Between runs; else between the trials of single runs.
    is_of_runs: bool,
}

impl Spread {
    fn kind(&self) -> (u64, bool) {
        (self.freedom.to_bits(), self.is_of_runs)
    }

    fn of(base: &Case, cand: &Case) -> Spread {
        let sides = [levels(base), levels(cand)];
        let (variance, freedom) = pooled(sides.iter().map(Vec::as_slice));
        if freedom > 0.0 {
            let weight = sides.iter().map(|levels| 1.0 / levels.len() as f64).sum();
            return Spread { variance, freedom, weight, is_of_runs: true };
        }
        let runs = || base.runs.iter().chain(&cand.runs).map(|run| run.trials.as_slice());
        let (variance, freedom) = pooled(runs());
        let weight = runs().map(|trials| 1.0 / trials.len() as f64).sum();
        Spread { variance, freedom, weight, is_of_runs: false }
    }
}

fn levels(case: &Case) -> Vec<f64> {
    case.runs.iter().map(super::side::Run::level).collect()
}

/// The variance within groups of values, and its degrees of freedom; 0 and 0 where no group has two
/// values.
fn pooled<'a>(groups: impl Iterator<Item = &'a [f64]>) -> (f64, f64) {
    let of_groups = groups.filter_map(Mean::of).map(|mean| {
        let freedom = mean.count as f64 - 1.0;
        (freedom * mean.deviation.powi(2), freedom)
    });
    let (squares, freedom) = of_groups.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    (if freedom > 0.0 { squares / freedom } else { 0.0 }, freedom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::side::Run;

    fn case(runs: &[&[f64]]) -> Case {
        let run = |trials: &&[f64]| {
            let trials: Vec<&[f64]> = trials.chunks(1).collect();
            Run::of(&trials).unwrap()
        };
        Case { runs: runs.iter().map(run).collect(), ..Case::default() }
    }

    #[test]
    fn a_single_run_a_side_is_no_surer_than_processes_agree() {
        let (base, cand) = (case(&[&[1.0, 1.0, 1.0]]), case(&[&[1.02, 1.02, 1.02]]));
        let [ratio] = ratios(&[(base, cand)], false)[..] else { panic!("one ratio") };
        assert!((ratio.difference.exp() - 1.02).abs() < 1e-12);
        let [low, high] = ratio.interval95();
        // 1.96 times the root of two times half a per cent.
        assert!((high - low - 2.0 * 1.96 * 0.00707).abs() < 2e-4, "{low} {high}");
    }

    #[test]
    fn several_runs_speak_for_themselves() {
        let base = case(&[&[1.00, 1.01], &[1.02, 1.03], &[1.01, 1.00]]);
        let noisy = case(&[&[1.2, 1.2], &[1.0, 1.0], &[1.1, 1.1]]);
        let quiet = case(&[&[1.1, 1.1], &[1.1, 1.11], &[1.1, 1.1]]);
        let width = |cand: &Case| {
            let [low, high] = ratios(&[(base.clone(), cand.clone())], false)[0].interval95();
            high - low
        };
        assert!(width(&noisy) > 3.0 * width(&quiet), "{} {}", width(&noisy), width(&quiet));
        // Levels of 3 runs each, by hand: s 0.00993 and 0.0026, t(4) 2.776.
        assert!((0.03..0.04).contains(&width(&quiet)), "{}", width(&quiet));
    }

    #[test]
    fn trials_that_disagree_widen_the_interval() {
        let quiet = case(&[&[1.0, 1.001, 0.999]]);
        let noisy = case(&[&[1.0, 1.1, 0.9]]);
        let width = |cand: &Case| {
            let [low, high] = ratios(&[(quiet.clone(), cand.clone())], false)[0].interval95();
            high - low
        };
        assert!(width(&noisy) > 3.0 * width(&quiet));
    }
}
