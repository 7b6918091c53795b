//! Many dimensions together, under a budget for their sum.
//!
//! Each item takes one of the measured dimensions near its own: up to the allowed overhead above,
//! up to 10 % below. Going below costs: its time at its own dimension (at the nearest measured one,
//! if that was not), times the part of the dimension that is lost, times its importance. What is
//! minimised is the sum of the times and of these losses, with the sum of the dimensions within the
//! budget: a knapsack. The paper behind this suite (arXiv 2604.09595)
//! chooses among multiples of 8 in the same way; here the choice is among measured times.

use super::input::Item;
use super::recommend::largest;
use super::times::Times;
use crate::stats::knapsack::{Choice, choose, least};
use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// How far below its own dimension an item may go.
const MAX_CUT: f64 = 0.10;

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
    let chosen = choose(&free, budget - kept).with_context(|| {
        format!(
            "{} dimensions and a budget of {budget} are too many to go through: give fewer, or a \
             smaller --max-overhead",
            items.len()
        )
    })?;
    let mut chosen = chosen.into_iter();
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
    near.map(|(size, time)| Choice { size, cost: time.p50_ms + loss_ms(times, item, size) })
        .collect()
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
