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
    let controls = controls(screen, candidates, rules.controls);
    let mut measure = |first, count, candidates: &[(usize, Direction)]| {
        let mut cases: Vec<usize> = candidates.iter().map(|(case, _)| *case).collect();
        cases.extend(&controls);
        let pairs = measure(first, count, &cases)?;
        Ok::<_, anyhow::Error>(without_controls(&pairs, candidates.len()))
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

/// Cases that are no candidates, spread over the suite; none where there are too few to mean anything.
fn controls(screen: &Screen, candidates: &[(usize, Direction)], count: usize) -> Vec<usize> {
    let is_free = |case: &usize| {
        screen.cases[*case].is_some() && candidates.iter().all(|(candidate, _)| candidate != case)
    };
    let free: Vec<usize> = (0..screen.cases.len()).filter(is_free).collect();
    let controls = preset(&free, count);
    if controls.len() < MIN_SUITE { Vec::new() } else { controls }
}

/// The differences of each candidate over the pairs, less the median of the controls in each pair.
fn without_controls(pairs: &[Pair], candidates: usize) -> Vec<Vec<f64>> {
    let mut differences = vec![Vec::new(); candidates];
    for pair in pairs {
        let (own, controls) = pair.differences.split_at(candidates);
        let controls: Vec<f64> = controls.iter().flatten().copied().collect();
        let removed = median(&controls).unwrap_or_default();
        for (differences, own) in differences.iter_mut().zip(own) {
            differences.extend(own.map(|own| own - removed));
        }
    }
    differences
}
