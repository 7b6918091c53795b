//! What a report says in words.

use crate::experiments::model_layers::entry::{ModelLayers, Plan};
use crate::results::model::{ModelReport, PlanSize, StepTimes, dims};
use crate::units::{percent, ratio};

pub const ADVISED: &str = "advised";

/// Where a fixed plan is faster than the advised one, why.
pub fn notes(steps: &[StepTimes], sizes: &[PlanSize], of: &ModelLayers) -> Vec<String> {
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

pub fn sentences(report: &ModelReport) -> Vec<String> {
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
