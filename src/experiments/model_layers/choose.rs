//! The advised plan: of the candidates that were measured, those that take the least time under a
//! budget of parameters.

use super::entry::{ModelLayers, Plan};
use super::layer::{LayerDims, MULTIPLES, Unit};
use super::part::{Kind, Part, Step};
use crate::stats::knapsack::{Choice, MAX_STATES, choose};
use std::collections::HashMap;

/// Budgets are counted in so many parts, at most: each takes no more than it says.
const PARTS: usize = 50_000;

/// What minimises the time of a model.
pub struct Chooser<'a> {
    pub of: &'a ModelLayers,
    pub times_ms: &'a HashMap<Part, f64>,
    /// Half of the interval that holds another run's median.
    pub half_ms: &'a HashMap<Part, f64>,
    /// What a millisecond counts in each step.
    pub weights: Vec<(Step, f64)>,
}

impl Chooser<'_> {
    /// The dimensions of each layer. No slower, all steps weighed, than a plan that keeps within
    /// the same budget of parameters.
    pub fn advised(&self, layers: &[LayerDims], budget: usize) -> Vec<LayerDims> {
        let model = &self.of.model;
        let mut items: Vec<(usize, Unit, Vec<Candidate>)> = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            for unit in layer.units(model) {
                let candidates = self.candidates(layer, unit);
                // One without times stays as it is.
                if candidates.len() > 1 {
                    items.push((at, unit, candidates));
                }
            }
        }
        // The fewest parameters that the items can take, and what the budget has beyond them.
        let now: usize = layers.iter().map(|layer| layer.parameters(model)).sum();
        let saved: usize = items.iter().map(|(.., all)| all[0].current - all[0].parameters).sum();
        let room = budget.saturating_sub(now - saved);
        // Fewer where there are many items, or the knapsack is too large to go through.
        let parts = PARTS.min(MAX_STATES / items.len().max(1) - 1);
        let unit = room.div_ceil(parts).max(1);
        let choices: Vec<Vec<Choice>> = items.iter().map(|(.., all)| choices(all, unit)).collect();
        let mut advised = layers.to_vec();
        for ((at, unit_of, candidates), taken) in
            items.iter().zip(choose(&choices, room / unit).unwrap_or_default())
        {
            let is_taken = |candidate: &&Candidate| {
                (candidate.parameters - candidates[0].parameters).div_ceil(unit) == taken
            };
            let best = candidates.iter().filter(is_taken).min_by(|a, b| a.cost.total_cmp(&b.cost));
            if let Some(best) = best {
                advised[*at] = advised[*at].with(*unit_of, &best.dims);
            }
        }
        let others = [Plan::AsIs, Plan::Round8, Plan::Round64];
        let others = others.map(|plan| self.of.plan_of_layers(plan, layers));
        let fits = |dims: &Vec<LayerDims>| {
            dims.iter().map(|layer| layer.parameters(model)).sum::<usize>() <= budget
        };
        let cost = |dims: &Vec<LayerDims>| -> Option<f64> {
            dims.iter().map(|layer| self.cost(layer, |_| true)).sum()
        };
        let plans = [advised].into_iter().chain(others.into_iter().filter(fits));
        let known = plans.filter_map(|dims| Some((cost(&dims)?, dims)));
        let best = known.min_by(|a: &(f64, _), b| a.0.total_cmp(&b.0));
        best.map_or_else(|| layers.to_vec(), |(_, dims)| dims)
    }

    /// In the order of their parameters, the cheapest of equals.
    fn candidates(&self, layer: &LayerDims, unit: Unit) -> Vec<Candidate> {
        let (model, tp) = (&self.of.model, self.of.tp.get());
        let rounded = MULTIPLES.map(|multiple| layer.rounded(multiple, model, tp));
        let current = layer.parameters(model);
        let is_own = |kind| unit.has(kind);
        let as_is = self.cost(layer, is_own);
        let candidate = |other: &LayerDims| {
            let dims = layer.with(unit, other);
            let cost = self.cost(&dims, is_own)?;
            // What may save nothing is not worth a change.
            let doubt = self.doubt(layer, is_own).hypot(self.doubt(&dims, is_own));
            if dims != *layer && cost + doubt >= as_is? {
                return None;
            }
            Some(Candidate { parameters: dims.parameters(model), cost, current, dims })
        };
        let dense = LayerDims::dense(model);
        let all = rounded.iter().chain([&dense]).filter_map(candidate);
        let mut all: Vec<Candidate> = all.collect();
        all.sort_by(|a, b| a.parameters.cmp(&b.parameters).then(a.cost.total_cmp(&b.cost)));
        all.dedup_by_key(|candidate| candidate.parameters);
        all
    }

    /// How far another run's cost may lie from that of a layer's parts of some kinds.
    fn doubt(&self, dims: &LayerDims, is_wanted: impl Fn(Kind) -> bool) -> f64 {
        let of_step = |(step, weight): &(Step, f64)| -> f64 {
            let parts = self.of.setting().layer(dims, *step).into_iter();
            let halves = parts.filter(|(kind, _)| is_wanted(*kind));
            let halves = halves.filter_map(|(_, part)| self.half_ms.get(&part));
            halves.map(|half| (weight * half).powi(2)).sum()
        };
        self.weights.iter().map(of_step).sum::<f64>().sqrt()
    }

    /// The weighed time of a layer's parts of some kinds; none where one has no time.
    fn cost(&self, dims: &LayerDims, is_wanted: impl Fn(Kind) -> bool) -> Option<f64> {
        let of_step = |(step, weight): &(Step, f64)| {
            let parts = self.of.setting().layer(dims, *step).into_iter();
            let times = parts.filter(|(kind, _)| is_wanted(*kind));
            let sum: Option<f64> = times.map(|(_, part)| self.times_ms.get(&part)).sum();
            Some(weight * sum?)
        };
        self.weights.iter().map(of_step).sum()
    }
}

impl Unit {
    fn has(self, kind: Kind) -> bool {
        match (self, kind) {
            (Unit::Pair(linear), Kind::Linear(other)) => linear == other,
            (Unit::Mlp, Kind::Linear(other)) => other.is_mlp(),
            _ => false,
        }
    }
}

struct Candidate {
    dims: LayerDims,
    /// Of the whole layer.
    parameters: usize,
    /// Those of the layer as it is.
    current: usize,
    cost: f64,
}

/// Sizes above the least, in units, rounded up; of equal ones the cheapest.
fn choices(candidates: &[Candidate], unit: usize) -> Vec<Choice> {
    let least = candidates[0].parameters;
    let mut choices: Vec<Choice> = Vec::new();
    for candidate in candidates {
        let size = (candidate.parameters - least).div_ceil(unit);
        let cost = candidate.cost;
        match choices.last_mut() {
            Some(last) if last.size == size => last.cost = last.cost.min(cost),
            _ => choices.push(Choice { size, cost }),
        }
    }
    choices
}
