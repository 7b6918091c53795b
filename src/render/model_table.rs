//! A model under its plans, as tables of a terminal.

use super::table::{table, with_header, wrapped};
use crate::results::model::{ModelReport, PlanTime, StepTimes, dims};
use crate::results::summary::Summary;
use crate::units::{count, percent, ratio, time};

/// Modules that are named.
pub const MOST_MODULES: usize = 10;

/// A table for each number of tokens, whether a layer agrees with its parts, and what to change.
pub fn of(summary: &Summary, width: usize) -> String {
    let Some(model) = &summary.model else { return "There is no report on a model.".to_owned() };
    let mut paragraphs: Vec<String> =
        model.steps.iter().map(|step| step_table(model, step, width)).collect();
    paragraphs.extend(agreement(model).map(|text| wrapped("", &text, width)));
    paragraphs.extend(modules(model, width));
    paragraphs.extend(model.notes.iter().map(|note| wrapped("! ", note, width)));
    paragraphs.join("\n")
}

/// `decode, 16 sequences at context 4096`.
pub fn title(model: &ModelReport, step: &StepTimes) -> String {
    match step.phase.as_str() {
        "decode" => {
            let sequences = if step.tokens == 1 { "sequence" } else { "sequences" };
            format!("decode, {} {sequences} at context {}", step.tokens, model.context)
        }
        _ if step.tokens == 1 => "prefill, 1 token".to_owned(),
        _ => format!("prefill, {} tokens", step.tokens),
    }
}

/// Its parameters in millions or billions.
pub fn parameters(model: &ModelReport, plan: &str) -> String {
    let size = model.plans.iter().find(|size| size.plan == plan);
    size.map_or_else(String::new, |size| count(size.parameters))
}

/// How far another run's total may lie off.
pub fn interval(plan: &PlanTime) -> String {
    let half = plan
        .ci95_ms
        .zip(plan.total_ms)
        .map(|([low, high], total)| format!("± {}", percent((high - low) / 2.0 / total * 100.0)));
    half.unwrap_or_default()
}

fn step_table(model: &ModelReport, step: &StepTimes, width: usize) -> String {
    let title = title(model, step);
    let header = ["plan", "parameters", "time", "another run", "dense / it", "as is / it"];
    let rows = step.plans.iter().map(|plan| {
        let speedup = |value: Option<f64>| value.map(ratio).unwrap_or_default();
        let total = plan.total_ms.map_or_else(|| "-".to_owned(), time);
        vec![
            plan.plan.clone(),
            parameters(model, &plan.plan),
            total,
            interval(plan),
            speedup(plan.speedup_over_dense),
            speedup(plan.speedup_over_as_is),
        ]
    });
    let missing = step.plans.iter().find_map(|plan| plan.missing.as_ref());
    let missing = missing.map(|why| format!("\n{}", wrapped("! ", why, width))).unwrap_or_default();
    format!("{title}\n{}{missing}", table(1, &with_header(header, rows), width))
}

/// How far the sums of parts are from whole layers.
pub fn agreement(model: &ModelReport) -> Option<String> {
    let layers = &model.whole_layers;
    let worst =
        layers.iter().max_by(|a, b| a.difference_pct.abs().total_cmp(&b.difference_pct.abs()))?;
    let within = layers.iter().filter(|layer| layer.note.is_none()).count();
    let note = worst.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    Some(format!(
        "sum of parts against one layer as a single graph: {within} of {} within 5 %; {:+.1} % at \
         most ({}, {} {}){note}",
        layers.len(),
        worst.difference_pct,
        worst.plan,
        worst.phase,
        worst.tokens
    ))
}

fn modules(model: &ModelReport, width: usize) -> Option<String> {
    let losing = || model.modules.iter().filter(|module| module.saved_pct > 0.0);
    losing().next()?;
    let rows = losing().take(MOST_MODULES).map(|module| {
        vec![
            module.module.clone(),
            layers(&module.layers),
            dims(&module.dims),
            module.advised.as_deref().map_or_else(|| "dense".to_owned(), dims),
            percent(module.saved_pct),
        ]
    });
    let rows = with_header(["module", "layers", "now", "set to", "saves"], rows);
    let rest = losing().count().saturating_sub(MOST_MODULES);
    let rest = if rest > 0 { format!("\nand {rest} more") } else { String::new() };
    Some(format!("modules that lose most\n{}{rest}", table(1, &rows, width)))
}

/// `0-3, 7`.
pub fn layers(layers: &[usize]) -> String {
    let stretches = layers.chunk_by(|a, b| a + 1 == *b).map(|stretch| match stretch {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    stretches.collect::<Vec<_>>().join(", ")
}
