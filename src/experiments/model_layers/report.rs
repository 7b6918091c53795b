//! From the rows of a run to the report on its model.

use super::choose::Chooser;
use super::entry::{ModelLayers, Plan};
use super::layer::{LayerDims, Unit};
use super::part::{Kind, Part, Step};
use crate::experiments::sweep::KEYS_OF_EVERY_TYPE;
use crate::results::model::{
    ModelReport, ModuleLoss, PlanSize, PlanTime, StepTimes, WholeLayer, dims,
};
use crate::results::raw::{Raw, Row};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::units::{percent, ratio};
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::HashMap;

const ADVISED: &str = "advised";
/// A layer and the sum of its parts should agree so far.
const AGREE_PCT: f64 = 5.0;

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

/// The rows by what they time.
struct Times<'a> {
    of: &'a ModelLayers,
    raw: &'a Raw,
    p50_ms: HashMap<Part, f64>,
    /// Half of the interval of another run's median.
    half_ms: HashMap<Part, f64>,
    missing: HashMap<Part, String>,
}

impl<'a> Times<'a> {
    fn of(of: &'a ModelLayers, raw: &'a Raw) -> Self {
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

    fn step(&self, step: Step, plans: &[(&str, Vec<LayerDims>)]) -> StepTimes {
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

    fn plan(&self, step: Step, plan: &str, dims: &[LayerDims]) -> PlanTime {
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

    fn whole_layers(&self, layers: &[LayerDims]) -> Vec<WholeLayer> {
        let (of, at) = (self.of, self.of.whole_layer());
        let is_cpu = self.raw.metadata.device == "cpu";
        let mut found = Vec::new();
        for step in of.steps() {
            for plan in Plan::ALL {
                let id = of.layer_case(&self.raw.metadata.group, plan, step).id;
                let mut rows = self.raw.measured();
                let Some(row) = rows.find(|row| row.point.case_id == id) else { continue };
                let parts = of.setting().layer(&of.planned(plan, &layers[at]), step);
                let parts_ms: Option<f64> =
                    parts.iter().map(|(_, part)| self.p50_ms.get(part)).sum();
                let Some(parts_ms) = parts_ms else { continue };
                let graph_ms = row.timing.p50;
                let difference_pct = (parts_ms / graph_ms - 1.0) * 100.0;
                let differs = difference_pct.abs() > AGREE_PCT;
                found.push(WholeLayer {
                    plan: plan.name().to_owned(),
                    phase: step.phase.name().to_owned(),
                    tokens: step.tokens,
                    layer: at,
                    graph_ms,
                    parts_ms,
                    difference_pct,
                    note: differs.then(|| difference(difference_pct, is_cpu).to_owned()),
                });
            }
        }
        found
    }

    /// Equal dimensions of the same module in several layers are one.
    fn modules(&self, layers: &[LayerDims], advised: &[LayerDims]) -> Vec<ModuleLoss> {
        let of = self.of;
        type Key = (Unit, LayerDims, LayerDims);
        let mut groups: IndexMap<Key, Vec<usize>> = IndexMap::new();
        let dense = LayerDims::dense(&of.model);
        for (at, (layer, to)) in layers.iter().zip(advised).enumerate() {
            for unit in layer.units(&of.model) {
                // Nothing but the unit itself tells them apart.
                let key = (unit, dense.with(unit, layer), dense.with(unit, to));
                groups.entry(key).or_default().push(at);
            }
        }
        let steps = of.steps();
        let totals: Vec<Option<f64>> =
            steps.iter().map(|step| self.plan(*step, Plan::AsIs.name(), layers).total_ms).collect();
        let mut losses: Vec<ModuleLoss> = groups
            .into_iter()
            .filter_map(|((unit, from, to), layers)| {
                let saved = |step: &Step| {
                    let time = |dims: &LayerDims| -> Option<f64> {
                        let parts = of.setting().layer(dims, *step);
                        parts.iter().map(|(_, part)| self.p50_ms.get(part)).sum()
                    };
                    Some((time(&from)? - time(&to)?) * layers.len() as f64)
                };
                let saved_ms: Vec<f64> = steps.iter().map(saved).collect::<Option<_>>()?;
                let shares = saved_ms.iter().zip(&totals);
                let shares: Vec<f64> =
                    shares.map(|(ms, total)| Some(ms / (*total)?)).collect::<Option<_>>()?;
                let dims = dims_of(unit, &from).unwrap_or_default();
                let advised = dims_of(unit, &to);
                let saved_pct = 100.0 * shares.iter().sum::<f64>() / shares.len().max(1) as f64;
                let module = match unit {
                    Unit::Pair(linear) => linear.path(),
                    Unit::Mlp => "mlp".to_owned(),
                };
                Some(ModuleLoss { module, layers, dims, advised, saved_ms, saved_pct })
            })
            .collect();
        losses.sort_by(|a, b| b.saved_pct.total_cmp(&a.saved_pct));
        losses
    }
}

/// None of a dense layer.
fn dims_of(unit: Unit, dims: &LayerDims) -> Option<Vec<usize>> {
    match unit {
        Unit::Pair(linear) => dims.ranks.get(&linear).cloned(),
        Unit::Mlp => Some(vec![dims.mlp_width]),
    }
}

/// What may be the reason.
fn difference(pct: f64, is_cpu: bool) -> &'static str {
    match (pct > 0.0, is_cpu) {
        (true, false) => {
            "operations of a layer may find the results of those before in the L2 cache; timed \
             apart, their operands come from memory"
        }
        (false, false) => {
            "timed apart, launches of one kernel follow each other; in a layer the clock, the \
             caches and the gaps between kernels may be others"
        }
        (false, true) => {
            "timed apart, an operation's operands may stay in the processor's caches; in a layer \
             those of all others come in between"
        }
        (true, true) => "why, is not known",
    }
}

/// Where a fixed plan is faster than the advised one, why.
fn notes(steps: &[StepTimes], sizes: &[PlanSize], of: &ModelLayers) -> Vec<String> {
    // What the budget is of: without the embedding.
    let parameters = |plan: &str| {
        let size = sizes.iter().find(|size| size.plan == plan).map_or(0, |size| size.parameters);
        size.saturating_sub(of.model.embedding_parameters()) as f64
    };
    let mut notes = Vec::new();
    for step in steps {
        let total = |plan: &str| {
            step.plans.iter().find(|known| known.plan == plan).and_then(|known| known.total_ms)
        };
        for plan in [Plan::Round8.name(), Plan::Round64.name()] {
            let (Some(own), Some(other)) = (total(ADVISED), total(plan)) else { continue };
            // Less than a run tells from another.
            if other * 1.005 >= own {
                continue;
            }
            let more = (parameters(plan) / parameters(Plan::AsIs.name()) - 1.0) * 100.0;
            let why = match more > of.max_overhead_pct {
                true => format!(
                    "its layers have {} more parameters than as is; {} are allowed",
                    percent(more),
                    percent(of.max_overhead_pct)
                ),
                false => "advised weighs all token counts together".to_owned(),
            };
            let (name, faster) = (&step.phase, percent((own / other - 1.0) * 100.0));
            notes.push(format!("{name} {}: {plan} is {faster} faster: {why}", step.tokens));
        }
    }
    notes
}

fn sentences(report: &ModelReport) -> Vec<String> {
    let mut sentences = Vec::new();
    for step in &report.steps {
        let of = |plan: &str| step.plans.iter().find(|known| known.plan == plan);
        let as_is = of(Plan::AsIs.name());
        let known = as_is.and_then(|plan| plan.speedup_over_dense.zip(plan.ci95_over_dense));
        let Some((as_is, [low, high])) = known else {
            let missing = step.plans.iter().find_map(|plan| plan.missing.clone());
            sentences.extend(missing.map(|why| format!("{} {}: {why}", step.phase, step.tokens)));
            continue;
        };
        let paid = if low > 1.0 {
            "compression pays"
        } else if high < 1.0 {
            "compression does not pay"
        } else {
            "whether compression pays is undecided"
        };
        let another = match (ratio(low), ratio(high)) {
            (low, high) if low == high => String::new(),
            (low, high) => format!(" (another run: {low} to {high})"),
        };
        let advised = of(ADVISED).and_then(|plan| plan.speedup_over_dense);
        let advised = advised.map_or_else(String::new, |advised| {
            format!("; with the advised dimensions {}", ratio(advised))
        });
        sentences.push(format!(
            "{} {}: {paid}: {} as fast as dense{another}{advised}.",
            step.phase,
            step.tokens,
            ratio(as_is)
        ));
    }
    sentences.extend(report.modules.first().filter(|worst| worst.saved_pct > 0.0).map(|worst| {
        let to = worst.advised.as_ref().map_or_else(|| "the dense layer".to_owned(), |to| dims(to));
        let layers = match worst.layers[..] {
            [one] => format!("layer {one}"),
            _ => format!("{} layers", worst.layers.len()),
        };
        format!(
            "Most is lost in {} of {layers}: {} to {to} saves {} of the model's time.",
            worst.module,
            dims(&worst.dims),
            percent(worst.saved_pct)
        )
    }));
    sentences
}
