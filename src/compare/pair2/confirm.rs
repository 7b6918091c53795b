//! The confirmation: candidates alone, in fresh processes, judged by those alone.

use super::screen::{Direction, Screen};
use super::shift::preset;
use super::{MIN_SUITE, Pair, Rules};
use crate::compare::student::Mean;
use crate::report::stats::median;
use anyhow::Result;

/// What fresh pairs say of a candidate, in the direction it was one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirmed {
    /// Mean of `ln(candidate / base)` over the pairs, and its spread.
    pub mean: Mean,
    /// The chance of so large a change in a case that did not change this way.
    pub p: f64,
    /// Whether that is small enough, and the change large enough.
    pub is_real: bool,
}

/// Measures the candidates, by `measure(first pair, pairs, cases)`, and judges them; those that the first look leaves
/// open get as many pairs again. Candidates with fewer than two times are left out.
///
/// # Errors
/// What `measure` reports.
pub fn confirm(
    screen: &Screen,
    candidates: &[(usize, Direction)],
    rules: &Rules,
    mut measure: impl FnMut(usize, usize, &[usize]) -> Result<Vec<Pair>>,
) -> Result<Vec<(usize, Direction, Confirmed)>> {
    let mut measure = |first, count, candidates: &[(usize, Direction)]| {
        let mut cases: Vec<usize> = candidates.iter().map(|(case, _)| *case).collect();
        cases.extend(controls(screen, &cases, rules.controls));
        let pairs = measure(first, count, &cases)?;
        let all = rules.controls > 0;
        Ok::<_, anyhow::Error>(without_others(&pairs, candidates.len(), all))
    };
    let ways = |way| candidates.iter().filter(|(_, direction)| *direction == way).count();
    let level = |way| rules.confirm_p / ways(way) as f64;
    let judge = |direction, differences: &[f64]| -> Option<Confirmed> {
        let mean = Mean::of(differences)?;
        let towards = match direction {
            Direction::Slower => mean,
            Direction::Faster => Mean { mean: -mean.mean, ..mean },
        };
        let p = towards.p_above_zero();
        let is_real = p <= level(direction) && towards.mean >= rules.threshold;
        Some(Confirmed { mean, p, is_real })
    };

    let mut differences = measure(0, rules.confirm_pairs, candidates)?;
    let is_open = |&(_, direction): &(usize, Direction), differences: &[f64]| {
        judge(direction, differences).is_some_and(|confirmed| {
            let towards = match direction {
                Direction::Slower => confirmed.mean.mean,
                Direction::Faster => -confirmed.mean.mean,
            };
            !confirmed.is_real && towards > rules.open_least()
        })
    };
    let open: Vec<usize> =
        (0..candidates.len()).filter(|&at| is_open(&candidates[at], &differences[at])).collect();
    if !open.is_empty() {
        let again: Vec<(usize, Direction)> = open.iter().map(|&at| candidates[at]).collect();
        let more = measure(rules.confirm_pairs, rules.confirm_pairs, &again)?;
        for (at, more) in open.into_iter().zip(more) {
            differences[at].extend(more);
        }
    }
    let judged =
        candidates.iter().zip(&differences).filter_map(|(&(case, direction), differences)| {
            Some((case, direction, judge(direction, differences)?))
        });
    Ok(judged.collect())
}

/// Cases beside `candidates`, spread over the suite.
fn controls(screen: &Screen, candidates: &[usize], count: usize) -> Vec<usize> {
    let is_free = |case: &usize| screen.cases[*case].is_some() && !candidates.contains(case);
    let free: Vec<usize> = (0..screen.cases.len()).filter(is_free).collect();
    preset(&free, count)
}

/// The differences of each candidate over the pairs; if there are `controls`, less their median in each pair. Where they
/// are too few to mean anything, as in a small suite most of which are candidates, all others stand for them.
fn without_others(pairs: &[Pair], candidates: usize, controls: bool) -> Vec<Vec<f64>> {
    let mut differences = vec![Vec::new(); candidates];
    for pair in pairs {
        let known = |range: std::ops::Range<usize>| pair.differences[range].iter().flatten();
        let all = pair.differences.len();
        for (at, differences) in differences.iter_mut().enumerate() {
            let others: Vec<f64> = match all - candidates {
                _ if !controls => Vec::new(),
                MIN_SUITE.. => known(candidates..all).copied().collect(),
                _ => known(0..at).chain(known(at + 1..all)).copied().collect(),
            };
            let removed = median(&others).filter(|_| others.len() + 1 >= MIN_SUITE);
            differences.extend(pair.differences[at].map(|own| own - removed.unwrap_or_default()));
        }
    }
    differences
}
