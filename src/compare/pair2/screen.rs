//! The screen: a few pairs of processes over all cases, to find the few that deserve more.

use super::rules::{mean_clock, prior};
use super::{MIN_SUITE, Pair, Rules};
use crate::compare::clock::{self, Elasticities};
use crate::stats::moderation::Prior;
use crate::stats::student::{Mean, p_above};
use crate::stats::{mean, median};

#[derive(Clone, Debug)]
pub struct Screen {
    /// How much all cases together got slower, as a logarithm: the mean over the pairs of the
    /// median over the cases.
    pub shift: f64,
    pub is_shifted: bool,
    pub prior: Prior,
    pub cases: Vec<Option<Screened>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Screened {
    /// Mean of `ln(candidate / base)`, less what the suite as a whole did.
    pub difference: f64,
    /// Moderated standard deviation of it in one pair.
    pub deviation: f64,
    /// The chance of so large a difference in a case that did not get slower.
    pub p_slower: f64,
    /// ... that did not get faster.
    pub p_faster: f64,
}

/// Judges the pairs, at equal clocks; what the suite did as a whole is told as it was. None where
/// no case is in all pairs.
pub fn screen(pairs: Vec<Pair>, elasticities: &Elasticities, rules: &Rules) -> Option<Screen> {
    let shift = mean(&middles(&complete(&pairs), pairs.len())).unwrap_or_default();
    let pairs: Vec<Pair> =
        pairs.into_iter().map(|pair| pair.at_equal_clocks(elasticities)).collect();
    let complete = complete(&pairs);
    let middles = middles(&complete, pairs.len());
    let at_equal_clocks = mean(&middles).unwrap_or_default();
    let stays = rules.keeps_shift && at_equal_clocks.abs() > rules.suite_shift;
    let left_in = if stays { at_equal_clocks } else { 0.0 };
    let removed: Vec<f64> = middles.iter().map(|middle| middle - left_in).collect();
    let cut = rules.cut(pairs.len());
    let kept = (pairs.len() - 2 * cut) as f64;
    let freedom = kept - 1.0;
    let differences = |case: &Vec<f64>| -> Vec<f64> {
        case.iter().zip(&removed).map(|(difference, removed)| difference - removed).collect()
    };
    let statistics = |case: &Vec<f64>| {
        Mean::trimmed(&differences(case), cut).map(|mean| (mean.mean, mean.deviation.powi(2)))
    };
    let known: Vec<Option<(f64, f64)>> =
        complete.iter().map(|case| case.as_ref().and_then(statistics)).collect();
    let variances: Vec<f64> = known.iter().flatten().map(|(_, variance)| *variance).collect();
    let prior = prior(&variances, freedom)?;
    let judge = |case: usize, (difference, variance): (f64, f64)| {
        let of_clock = kept.sqrt() * clock::error(mean_clock(&pairs, case));
        let deviation = prior.moderate(variance, freedom).sqrt().hypot(of_clock);
        let error = deviation / kept.sqrt();
        let p = |difference| p_above(difference, error, prior.freedom + freedom);
        Screened { difference, deviation, p_slower: p(difference), p_faster: p(-difference) }
    };
    Some(Screen {
        shift,
        is_shifted: shift.abs() > rules.suite_shift,
        prior,
        cases: known.into_iter().enumerate().map(|(at, known)| Some(judge(at, known?))).collect(),
    })
}

/// The differences of each case, where it is in all pairs.
fn complete(pairs: &[Pair]) -> Vec<Option<Vec<f64>>> {
    let cases = pairs.first().map_or(0, |pair| pair.differences.len());
    (0..cases).map(|case| pairs.iter().map(|pair| pair.differences[case]).collect()).collect()
}

/// What the suite did as a whole in each pair. It is taken off the cases; on a card, a shift of all
/// of them that is too large to be chance stays in them.
fn middles(complete: &[Option<Vec<f64>>], pairs: usize) -> Vec<f64> {
    let middle = |pair: usize| {
        let differences: Vec<f64> = complete.iter().flatten().map(|case| case[pair]).collect();
        median(&differences).filter(|_| differences.len() >= MIN_SUITE).unwrap_or_default()
    };
    (0..pairs).map(middle).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Slower,
    Faster,
}

impl Screen {
    /// The cases that may have gone this way, the surest first. The second value are those beyond
    /// the limit.
    pub fn flagged(&self, direction: Direction, rules: &Rules) -> (Vec<usize>, Vec<usize>) {
        let measure = |case: &Screened| match direction {
            Direction::Slower => (case.p_slower, case.difference),
            Direction::Faster => (case.p_faster, -case.difference),
        };
        let known = self.cases.iter().enumerate();
        let mut found: Vec<(usize, f64)> = known
            .filter_map(|(index, case)| {
                let (p, difference) = measure(case.as_ref()?);
                (p <= rules.screen_p && difference >= rules.screen_least()).then_some((index, p))
            })
            .collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut indices: Vec<usize> = found.into_iter().map(|(index, _)| index).collect();
        let beyond = indices.split_off(indices.len().min(rules.max_flagged));
        (indices, beyond)
    }
}
