//! The screen: a few pairs of processes over all cases, to find the few that deserve more.

use super::{MIN_SUITE, Rules};
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

/// Judges the pairs: `pairs[k][c]` is `ln(candidate / base)` of case c in pair k. None where no
/// case is in all pairs.
pub fn screen(pairs: &[Vec<Option<f64>>], rules: &Rules) -> Option<Screen> {
    let cases = pairs.first()?.len();
    let complete: Vec<Option<Vec<f64>>> =
        (0..cases).map(|case| pairs.iter().map(|pair| pair[case]).collect()).collect();
    let (shift, removed) = suite(&complete, pairs.len(), rules);
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
    let prior = Prior::of(&variances, freedom)?;
    let judge = |(difference, variance): (f64, f64)| {
        let deviation = prior.moderate(variance, freedom).sqrt();
        let error = deviation / kept.sqrt();
        let p = |difference| p_above(difference, error, prior.freedom + freedom);
        Screened { difference, deviation, p_slower: p(difference), p_faster: p(-difference) }
    };
    Some(Screen {
        shift,
        is_shifted: shift.abs() > rules.suite_shift,
        prior,
        cases: known.into_iter().map(|known| known.map(judge)).collect(),
    })
}

/// What the suite did as a whole, and what of it to take off the differences of each pair. On a
/// card, a shift of all cases that is too large to be chance stays in them.
fn suite(complete: &[Option<Vec<f64>>], pairs: usize, rules: &Rules) -> (f64, Vec<f64>) {
    let medians = |pair: usize| {
        let differences: Vec<f64> = complete.iter().flatten().map(|case| case[pair]).collect();
        median(&differences).filter(|_| differences.len() >= MIN_SUITE).unwrap_or_default()
    };
    let of_pairs: Vec<f64> = (0..pairs).map(medians).collect();
    let shift = mean(&of_pairs).unwrap_or_default();
    let kept = if rules.keeps_shift && shift.abs() > rules.suite_shift { shift } else { 0.0 };
    (shift, of_pairs.iter().map(|median| median - kept).collect())
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
