//! The times of a plan: those of its parts, added up.

use crate::experiments::model_layers::entry::{ModelLayers, Plan};
use crate::experiments::model_layers::layer::LayerDims;
use crate::experiments::model_layers::part::{Kind, Part, Step};
use crate::results::model::{PlanTime, StepTimes};
use crate::results::raw::{Raw, Row};
use indexmap::IndexMap;
use std::collections::HashMap;

/// The rows by what they time.
pub struct Times<'a> {
    pub of: &'a ModelLayers,
    pub raw: &'a Raw,
    pub p50_ms: HashMap<Part, f64>,
    /// Half of the interval of another run's median.
    pub half_ms: HashMap<Part, f64>,
    missing: HashMap<Part, String>,
}

impl<'a> Times<'a> {
    pub fn of(of: &'a ModelLayers, raw: &'a Raw) -> Self {
        let rows: HashMap<&str, &Row> =
            raw.measurements.iter().map(|row| (&*row.point().case_id, row)).collect();
        let mut times = Times {
            of,
            raw,
            p50_ms: HashMap::new(),
            half_ms: HashMap::new(),
            missing: HashMap::new(),
        };
        for part in of.parts() {
            let id = part.case(&raw.metadata.group, of.dtype, of.provider).id;
            match rows.get(&*id) {
                Some(Row::Measured(row)) => {
                    let half = row.ci95_p50.map_or(0.0, |[low, high]| (high - low) / 2.0);
                    times.p50_ms.insert(part, row.timing.p50);
                    times.half_ms.insert(part, half);
                }
                Some(Row::Failed(row)) => {
                    times.missing.insert(part, format!("{id}: {}", row.error));
                }
                None => drop(times.missing.insert(part, format!("{id} was not measured"))),
            }
        }
        times
    }

    pub fn step(&self, step: Step, plans: &[(&str, Vec<LayerDims>)]) -> StepTimes {
        let mut found: Vec<PlanTime> =
            plans.iter().map(|(plan, dims)| self.plan(step, plan, dims)).collect();
        let total = |name: &str| {
            found.iter().find(|known| known.plan == name).and_then(|known| known.total_ms)
        };
        let [dense, as_is] = [Plan::Dense, Plan::AsIs].map(|plan| total(plan.name()));
        let of_dense = self.counts(step, &vec![LayerDims::dense(&self.of.model); plans[0].1.len()]);
        for (plan, (_, dims)) in found.iter_mut().zip(plans) {
            let over = |other: Option<f64>| Some(other? / plan.total_ms?);
            (plan.speedup_over_dense, plan.speedup_over_as_is) = (over(dense), over(as_is));
            let mut differ = self.counts(step, dims);
            of_dense.iter().for_each(|(part, n)| *differ.entry(*part).or_default() -= n);
            let half = self.half_of(&differ);
            plan.ci95_over_dense = plan
                .speedup_over_dense
                .zip(plan.total_ms)
                .map(|(ratio, ms)| [ratio - half / ms, ratio + half / ms]);
        }
        StepTimes { phase: step.phase.name().to_owned(), tokens: step.tokens, plans: found }
    }

    /// The parts of all layers, and the last one.
    fn all_parts(&self, step: Step, dims: &[LayerDims]) -> Vec<(Kind, Part)> {
        let setting = self.of.setting();
        let of_layers = dims.iter().flat_map(|layer| setting.layer(layer, step));
        of_layers.chain([(Kind::LmHead, setting.lm_head(step))]).collect()
    }

    /// How often each part runs.
    fn counts(&self, step: Step, dims: &[LayerDims]) -> HashMap<Part, i64> {
        let mut counts = HashMap::new();
        for (_, part) in self.all_parts(step, dims) {
            *counts.entry(part).or_default() += 1;
        }
        counts
    }

    /// How far their sum may lie off in another run. Parts are wrong independently of each other,
    /// the same part in all layers alike.
    fn half_of(&self, counts: &HashMap<Part, i64>) -> f64 {
        let half = |(part, count): (&Part, &i64)| {
            (*count as f64 * self.half_ms.get(part).copied().unwrap_or_default()).powi(2)
        };
        counts.iter().map(half).sum::<f64>().sqrt()
    }

    pub fn plan(&self, step: Step, plan: &str, dims: &[LayerDims]) -> PlanTime {
        let mut by_kind_ms: IndexMap<String, f64> = IndexMap::new();
        let mut missing = None;
        for (kind, part) in self.all_parts(step, dims) {
            match self.p50_ms.get(&part) {
                Some(ms) => *by_kind_ms.entry(kind.name().to_owned()).or_default() += ms,
                None => missing = missing.or_else(|| self.missing.get(&part).cloned()),
            }
        }
        let total_ms = missing.is_none().then(|| by_kind_ms.values().sum::<f64>());
        let half_ms = self.half_of(&self.counts(step, dims));
        PlanTime {
            plan: plan.to_owned(),
            total_ms,
            ci95_ms: total_ms.map(|total| [total - half_ms, total + half_ms]),
            speedup_over_dense: None,
            ci95_over_dense: None,
            speedup_over_as_is: None,
            by_kind_ms,
            missing,
        }
    }
}
