//! Many dimensions together, under a budget for their sum.
//!
//! Each item takes one of the measured dimensions near its own: up to the allowed overhead above,
//! up to 10 % below. Going below costs: its time at its own dimension (at the nearest measured one,
//! if that was not), times the part of the dimension that is lost, times its importance. What is
//! minimised is the sum of the times and of these losses, with the sum of the dimensions within the
//! budget: a multiple-choice knapsack, solved exactly by dynamic programming over that sum
//! (Kellerer, Pferschy and Pisinger, *Knapsack Problems*, section 11.5). The paper behind this
//! suite (arXiv 2604.09595) chooses among multiples of 8 in the same way; here the choice is among
//! measured times.

use super::input::Item;
use super::recommend::largest;
use super::times::Times;
use anyhow::{Result, ensure};
use serde::Serialize;

/// How far below its own dimension an item may go.
const MAX_CUT: f64 = 0.10;

/// States of the dynamic program, items times sums, that are still quick and small.
const MAX_STATES: usize = 50_000_000;

#[derive(Debug, Serialize)]
pub struct Comparison {
    pub budget: usize,
    /// The least time and loss within the budget.
    pub optimised: Plan,
    pub round_up_to_8: Plan,
    pub as_is: Plan,
    /// Dimensions with nothing measured near them: kept as they are in every plan, counted in its
    /// sum and not in its time.
    pub without_times: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub struct Plan {
    pub dims: Vec<usize>,
    /// Median at each, in ms; null where it was not measured.
    pub p50_ms: Vec<Option<f64>>,
    pub total_dims: usize,
    pub within_budget: bool,
    /// Sum of the times; null if one is not known of an item that has times at all.
    pub total_ms: Option<f64>,
    /// What going below costs by the importance of the items, in ms.
    pub loss_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub dim: usize,
    /// What it adds to what is minimised.
    pub cost: f64,
}

/// Chooses, and compares.
///
/// # Errors
/// If the budget is below the least that the items can take, or too large for the method.
pub fn compare(
    times: &Times,
    items: &[Item],
    max_overhead: f64,
    budget: usize,
) -> Result<Comparison> {
    let choices: Vec<Vec<Choice>> =
        items.iter().map(|item| choices(times, item, max_overhead)).collect();
    let (free, kept): (Vec<_>, Vec<_>) =
        items.iter().zip(&choices).partition(|(_, choices)| !choices.is_empty());
    let without_times: Vec<usize> = kept.iter().map(|(item, _)| item.dim).collect();
    let kept: usize = without_times.iter().sum();
    let free: Vec<Vec<Choice>> = free.into_iter().map(|(_, choices)| choices.clone()).collect();
    ensure!(!free.is_empty(), "none of these dimensions is near a measured one");
    let least = kept + least(&free);
    ensure!(
        budget >= least,
        "a budget of {budget} is below {least}, the least that the dimensions can be cut to"
    );
    let mut chosen = choose(&free, budget - kept)?.into_iter();
    // An item without times keeps its dimension.
    let plan = |dim_of: &mut dyn FnMut(&Item) -> usize| {
        let dims = items.iter().zip(&choices);
        let dims = dims.map(|(item, choices)| match choices[..] {
            [] => item.dim,
            _ => dim_of(item),
        });
        plan(times, items, &choices, dims.collect(), budget)
    };
    Ok(Comparison {
        budget,
        optimised: plan(&mut |item| chosen.next().unwrap_or(item.dim)),
        round_up_to_8: plan(&mut |item| item.dim.next_multiple_of(8)),
        as_is: plan(&mut |item| item.dim),
        without_times,
    })
}

fn choices(times: &Times, item: &Item, max_overhead: f64) -> Vec<Choice> {
    let low = item.dim - (item.dim as f64 * MAX_CUT + 1e-9) as usize;
    let near = times.between(low, largest(item.dim, max_overhead));
    near.map(|(dim, time)| Choice { dim, cost: time.p50_ms + loss_ms(times, item, dim) }).collect()
}

fn loss_ms(times: &Times, item: &Item, dim: usize) -> f64 {
    let lost = item.dim.saturating_sub(dim) as f64 / item.dim as f64;
    if lost == 0.0 { 0.0 } else { item.importance * lost * time_at_or_near(times, item.dim) }
}

/// The time at the nearest measured dimension, the smaller one of two.
fn time_at_or_near(times: &Times, dim: usize) -> f64 {
    let [first, last] = times.range();
    let nearest = times.between(first, last).min_by_key(|(other, _)| other.abs_diff(dim));
    nearest.map_or(0.0, |(_, time)| time.p50_ms)
}

fn plan(
    times: &Times,
    items: &[Item],
    choices: &[Vec<Choice>],
    dims: Vec<usize>,
    budget: usize,
) -> Plan {
    let p50_ms: Vec<Option<f64>> =
        dims.iter().map(|&dim| times.at(dim).map(|time| time.p50_ms)).collect();
    let counted = p50_ms.iter().zip(choices).filter(|(_, choices)| !choices.is_empty());
    let total_dims = dims.iter().sum();
    Plan {
        total_dims,
        within_budget: total_dims <= budget,
        total_ms: counted.map(|(ms, _)| *ms).sum(),
        loss_ms: items.iter().zip(&dims).map(|(item, &dim)| loss_ms(times, item, dim)).sum(),
        p50_ms,
        dims,
    }
}

fn least(choices: &[Vec<Choice>]) -> usize {
    choices.iter().filter_map(|choices| choices.first()).map(|choice| choice.dim).sum()
}

/// The dimension of each item for which the costs add up to the least, and the dimensions to no
/// more than `budget`; of equal costs, the smaller sum of dimensions.
///
/// The choices of an item are in ascending order of their dimensions; there is at least one, and
/// the smallest ones fit the budget.
pub fn choose(choices: &[Vec<Choice>], budget: usize) -> Result<Vec<usize>> {
    let least = least(choices);
    let spread = |choices: &Vec<Choice>| Some(choices.last()?.dim - choices.first()?.dim);
    let most: usize = choices.iter().filter_map(spread).sum();
    // Sums above `least`; more than all can take is no use.
    let sums = budget.saturating_sub(least).min(most) + 1;
    ensure!(
        sums.saturating_mul(choices.len()) <= MAX_STATES,
        "{} dimensions and a budget of {budget} are too many to go through: give fewer, or a \
         smaller --max-overhead",
        choices.len()
    );

    // best[s]: the least cost of the items so far whose dimensions add up to s above their
    // smallest.
    let mut best = vec![f64::INFINITY; sums];
    best[0] = 0.0;
    let mut taken: Vec<Vec<u32>> = Vec::with_capacity(choices.len());
    for choices in choices {
        let mut next = vec![f64::INFINITY; sums];
        let mut took = vec![0; sums];
        for (at, choice) in choices.iter().enumerate() {
            let above = choice.dim - choices[0].dim;
            for sum in above..sums {
                let cost = best[sum - above] + choice.cost;
                if cost < next[sum] {
                    next[sum] = cost;
                    took[sum] = at as u32;
                }
            }
        }
        best = next;
        taken.push(took);
    }

    let cheapest = best.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    let mut sum = cheapest.map_or(0, |(sum, _)| sum);
    let mut dims: Vec<usize> = choices
        .iter()
        .zip(&taken)
        .rev()
        .map(|(choices, took)| {
            let choice = choices[took[sum] as usize];
            sum -= choice.dim - choices[0].dim;
            choice.dim
        })
        .collect();
    dims.reverse();
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute_force(choices: &[Vec<Choice>], budget: usize) -> f64 {
        let Some((first, rest)) = choices.split_first() else { return 0.0 };
        let fitting = first.iter().filter(|choice| choice.dim + least(rest) <= budget);
        fitting
            .map(|choice| choice.cost + brute_force(rest, budget - choice.dim))
            .fold(f64::INFINITY, f64::min)
    }

    fn instances() -> impl Strategy<Value = (Vec<Vec<Choice>>, usize)> {
        let item =
            prop::collection::btree_map(1usize..40, 0.0f64..10.0, 1..6).prop_map(|choices| {
                choices.into_iter().map(|(dim, cost)| Choice { dim, cost }).collect::<Vec<_>>()
            });
        (prop::collection::vec(item, 1..6), 0usize..120)
            .prop_map(|(choices, room)| (choices.clone(), least(&choices) + room))
    }

    proptest! {
        #[test]
        fn the_choice_is_as_good_as_any((choices, budget) in instances()) {
            let dims = choose(&choices, budget).unwrap();
            prop_assert_eq!(dims.len(), choices.len());
            prop_assert!(dims.iter().sum::<usize>() <= budget);
            let cost: f64 = choices.iter().zip(&dims).map(|(choices, &dim)| {
                choices.iter().find(|choice| choice.dim == dim).unwrap().cost
            }).sum();
            prop_assert!((cost - brute_force(&choices, budget)).abs() < 1e-9);
        }
    }

    #[test]
    fn of_equal_costs_the_smaller_sum_is_taken() {
        let flat: Vec<Choice> = (8..=16).map(|dim| Choice { dim, cost: 1.0 }).collect();
        assert_eq!(choose(&[flat.clone(), flat], 1000).unwrap(), [8, 8]);
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_tried() {
        let wide = vec![Choice { dim: 1, cost: 2.0 }, Choice { dim: 1 << 24, cost: 1.0 }];
        let error = choose(&vec![wide; 100], usize::MAX).unwrap_err().to_string();
        assert!(error.contains("too many"), "{error}");
    }
}
