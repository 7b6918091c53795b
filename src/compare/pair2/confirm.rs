//! The confirmation: the flagged cases alone, in fresh processes, judged by those alone.

use super::rules::{self, mean_clock};
use super::screen::{Direction, Screen};
use super::shift::evenly;
use super::{MIN_SUITE, Pair, Rules};
use crate::compare::clock;
use crate::stats::median;
use crate::stats::moderation::Prior;
use crate::stats::student::{Mean, p_above};
use anyhow::Result;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirmed {
    /// Mean of `ln(candidate / base)` over the pairs, and its spread.
    pub mean: Mean,
    pub pairs: usize,
    /// The chance of so large a change, the way it went, in a case that did not change.
    pub p: f64,
    pub is_real: bool,
}

/// Measures the flagged cases, by `measure(first pair, pairs, cases)`, and judges them; those that
/// the first look leaves open get as many pairs again. Cases with fewer than two times are left
/// out. The direction returned is that of the fresh pairs, where they are sure of one: bad luck in
/// the screen makes a slower case look faster.
pub fn confirm(
    screen: &Screen,
    flagged: &[(usize, Direction)],
    rules: &Rules,
    mut measure: impl FnMut(usize, usize, &[usize]) -> Result<Vec<Pair>>,
) -> Result<Vec<(usize, Direction, Confirmed)>> {
    let cases: Vec<usize> = flagged.iter().map(|(case, _)| *case).collect();
    let controls = controls(screen, &cases, rules.controls);
    let level = rules.confirm_p / flagged.len() as f64;

    let mut beside = cases.clone();
    beside.extend(controls);
    let mut pairs = measure(0, rules.confirm_pairs, &beside)?;
    let mut judged = judge(&pairs, cases.len(), level, rules);
    let is_open = |at: &usize| {
        judged[*at]
            .is_some_and(|found| !found.is_real && found.mean.mean.abs() > rules.open_least())
    };
    let open: Vec<usize> = (0..cases.len()).filter(is_open).collect();
    if !open.is_empty() {
        // All of them again: the others are taken off.
        pairs.extend(measure(rules.confirm_pairs, rules.confirm_pairs, &beside)?);
        let second = judge(&pairs, cases.len(), level, rules);
        open.into_iter().for_each(|at| judged[at] = second[at]);
    }
    let judged = flagged.iter().zip(judged).filter_map(|(&(case, screened), confirmed)| {
        let confirmed = confirmed?;
        let direction = match confirmed.is_real {
            true if confirmed.mean.mean < 0.0 => Direction::Faster,
            true => Direction::Slower,
            false => screened,
        };
        Some((case, direction, confirmed))
    });
    Ok(judged.collect())
}

/// What the pairs say of each of their first cases, the flagged ones; none of one with fewer than
/// two times.
fn judge(pairs: &[Pair], flagged: usize, level: f64, rules: &Rules) -> Vec<Option<Confirmed>> {
    let differences = differences(pairs, flagged);
    let trimmed = |values: &Vec<f64>| Mean::trimmed(values, rules.cut(values.len()));
    let means: Vec<Option<Mean>> = differences.iter().map(trimmed).collect();
    let variances: Vec<f64> = means.iter().flatten().map(|mean| mean.deviation.powi(2)).collect();
    let kept = means.iter().flatten().map(|mean| mean.count).min().unwrap_or_default();
    let prior = rules::prior(&variances, kept as f64 - 1.0);
    let confirmed = |at: usize, mean: Mean, count: usize| {
        let moderated = |prior: &Prior| Mean {
            deviation: prior.moderate(mean.deviation.powi(2), mean.freedom).sqrt(),
            freedom: prior.freedom + mean.freedom,
            ..mean
        };
        let mean = prior.as_ref().map_or(mean, moderated);
        let of_clock = (mean.count as f64).sqrt() * clock::error(mean_clock(pairs, at));
        let mean = Mean { deviation: mean.deviation.hypot(of_clock), ..mean };
        let p = p_above(mean.mean.abs(), mean.error(), mean.freedom);
        let is_real = p <= level && mean.mean.abs() >= rules.threshold;
        Confirmed { mean, pairs: count, p, is_real }
    };
    let judged = means.into_iter().zip(&differences).take(flagged).enumerate();
    judged.map(|(at, (mean, differences))| Some(confirmed(at, mean?, differences.len()))).collect()
}

fn controls(screen: &Screen, flagged: &[usize], count: usize) -> Vec<usize> {
    let is_free = |case: &usize| screen.cases[*case].is_some() && !flagged.contains(case);
    let free: Vec<usize> = (0..screen.cases.len()).filter(is_free).collect();
    evenly(&free, count)
}

/// The differences of each case over the pairs that have its times, less what the pairs did to the
/// others.
fn differences(pairs: &[Pair], flagged: usize) -> Vec<Vec<f64>> {
    let cases = pairs.first().map_or(0, |pair| pair.differences.len());
    let of_case = |case: usize| {
        let own = |pair: &Pair| Some(pair.differences[case]? - others(pair, flagged, case));
        pairs.iter().filter_map(own).collect()
    };
    (0..cases).map(of_case).collect()
}

/// What a pair did to the controls, which come after the flagged cases. Where they are too few to
/// mean anything, as in a small suite most of which are flagged, all others than `case` stand for
/// them.
fn others(pair: &Pair, flagged: usize, case: usize) -> f64 {
    let is_control = pair.differences.len() - flagged >= MIN_SUITE;
    let is_other = |&at: &usize| at != case && (at >= flagged || !is_control);
    let others: Vec<f64> = (0..pair.differences.len())
        .filter(is_other)
        .filter_map(|at| pair.differences[at])
        .collect();
    median(&others).filter(|_| others.len() + 1 >= MIN_SUITE).unwrap_or_default()
}
