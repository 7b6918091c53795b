//! From the rows of a run to the report on its model.

mod layers;
mod modules;
mod times;
mod words;

use super::choose::Chooser;
use super::entry::{ModelLayers, Plan};
use super::layer::LayerDims;
use super::part::Step;
use crate::experiments::sweep::KEYS_OF_EVERY_TYPE;
use crate::results::model::{ModelReport, PlanSize, StepTimes};
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use crate::results::view::View;
use serde_json::Value;
use times::Times;
use words::{ADVISED, notes, sentences};

pub fn add(summary: &mut Summary, raw: &Raw, _: &View) {
    let Some(of) = ModelLayers::of_config(&raw.config) else { return };
    let report = Times::of(&of, raw).report();
    if of.layers().iter().all(|layer| layer.units(&of.model).is_empty()) {
        let all = "Nothing of this model is compressed: all plans are the dense one.";
        summary.findings.push(all.to_owned());
    } else {
        summary.findings.extend(sentences(&report));
    }
    summary.model = Some(report);
}

impl ModelLayers {
    /// The entry that a run was made of.
    fn of_config(config: &Value) -> Option<Self> {
        let Value::Object(mut keys) = config.clone() else { return None };
        keys.retain(|key, _| !KEYS_OF_EVERY_TYPE.contains(&key.as_str()));
        serde_json::from_value(Value::Object(keys)).ok()
    }

    pub fn plan_of_layers(&self, plan: Plan, layers: &[LayerDims]) -> Vec<LayerDims> {
        layers.iter().map(|layer| self.planned(plan, layer)).collect()
    }
}

impl Times<'_> {
    fn report(&self) -> ModelReport {
        let (of, layers) = (self.of, self.of.layers());
        let mut plans: Vec<(&str, Vec<LayerDims>)> =
            Plan::ALL.iter().map(|&plan| (plan.name(), of.plan_of_layers(plan, &layers))).collect();
        let parameters = |dims: &[LayerDims]| -> usize {
            let layers = dims.iter().map(|layer| layer.parameters(&of.model)).sum::<usize>();
            layers + of.model.embedding_parameters()
        };
        let weights: Vec<(Step, f64)> = of
            .steps()
            .into_iter()
            .filter_map(|step| {
                Some((step, 1.0 / self.plan(step, Plan::AsIs.name(), &layers).total_ms?))
            })
            .collect();
        let chooser = Chooser { of, times_ms: &self.p50_ms, half_ms: &self.half_ms, weights };
        let of_layers = parameters(&layers) - of.model.embedding_parameters();
        let budget = (of_layers as f64 * (1.0 + of.max_overhead_pct / 100.0)) as usize;
        let advised = chooser.advised(&layers, budget);
        plans.push((ADVISED, advised.clone()));

        let steps: Vec<StepTimes> =
            of.steps().into_iter().map(|step| self.step(step, &plans)).collect();
        let sizes: Vec<PlanSize> = plans
            .iter()
            .map(|(plan, dims)| PlanSize { plan: (*plan).to_owned(), parameters: parameters(dims) })
            .collect();
        ModelReport {
            model: of.model.name.clone(),
            n_layers: of.model.n_layers.get(),
            dtype: of.dtype.name().to_owned(),
            tp: of.tp.get(),
            context: of.context.get(),
            max_overhead_pct: of.max_overhead_pct,
            notes: notes(&steps, &sizes, of),
            whole_layers: self.whole_layers(&layers),
            modules: self.modules(&layers, &advised),
            plans: sizes,
            steps,
        }
    }
}
