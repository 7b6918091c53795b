//! A model under its plans, on a page: bars stacked by kind of module, and tables.

use super::escape::html;
use super::tables::{header, number, row, scrolled, section};
use crate::render::model_table::{self, MOST_MODULES};
use crate::render::plot::PALETTE;
use crate::results::model::{ModelReport, PlanTime, StepTimes, dims};
use crate::results::summary::Summary;
use crate::units::{percent, ratio, time};
use indexmap::IndexSet;

pub fn of(summary: &Summary, title: &'static str) -> String {
    let Some(model) = &summary.model else { return String::new() };
    let kinds: IndexSet<&str> = model
        .steps
        .iter()
        .flat_map(|step| &step.plans)
        .flat_map(|plan| plan.by_kind_ms.keys().map(String::as_str))
        .collect();
    let steps: String = model.steps.iter().map(|step| self::step(model, step, &kinds)).collect();
    let legend = legend(&kinds);
    format!(
        "<section aria-labelledby=\"plans-title\"><h2 id=\"plans-title\">{title}</h2><p \
         class=\"note\">Sum of the operations of all layers, on one GPU, and lm_head.</p>\
         {legend}{steps}</section>{}{}",
        modules(model),
        layers(model)
    )
}

fn color(kinds: &IndexSet<&str>, kind: &str) -> String {
    let at = kinds.get_index_of(kind).unwrap_or(0);
    // Those of the style sheet are as many, and lighter in the dark.
    if at < PALETTE.len() { format!("var(--c{at})") } else { "var(--muted)".to_owned() }
}

fn legend(kinds: &IndexSet<&str>) -> String {
    let keys = kinds.iter().map(|kind| {
        format!("<li><i style=\"background: {}\"></i>{}</li>", color(kinds, kind), html(kind))
    });
    let keys: String = keys.collect();
    format!("<ul class=\"key\" aria-label=\"Colours: kinds of module\">{keys}</ul>")
}

fn step(model: &ModelReport, step: &StepTimes, kinds: &IndexSet<&str>) -> String {
    let most = step.plans.iter().filter_map(|plan| plan.total_ms).fold(0.0, f64::max);
    let rows: String = step
        .plans
        .iter()
        .map(|plan| {
            let speedup = |value: Option<f64>| number(&value.map(ratio).unwrap_or_default());
            let total = plan.total_ms.map_or_else(|| "–".to_owned(), time);
            row(
                &plan.plan,
                [
                    number(&model_table::parameters(model, &plan.plan)),
                    number(&total),
                    number(&model_table::interval(plan)),
                    speedup(plan.speedup_over_dense),
                    speedup(plan.speedup_over_as_is),
                    format!("<td class=\"stacked\">{}</td>", bar(plan, most, kinds)),
                ],
            )
        })
        .collect();
    let head = header(
        "Plan",
        &[
            ("Parameters", true),
            ("Time", true),
            ("Another run", true),
            ("Dense / it", true),
            ("As is / it", true),
            ("By module", false),
        ],
    );
    let title = html(&model_table::title(model, step));
    let missing = step.plans.iter().find_map(|plan| plan.missing.as_deref());
    let missing = missing.map(|why| format!("<p class=\"note\">{}</p>", html(why)));
    let id = format!("{}{}", step.phase, step.tokens);
    let table = scrolled(&id, &head, &rows);
    format!(
        "<h3 id=\"{id}-title\" class=\"step\">{title}</h3>{}{table}",
        missing.unwrap_or_default()
    )
}

fn bar(plan: &PlanTime, most: f64, kinds: &IndexSet<&str>) -> String {
    let pieces = plan.by_kind_ms.iter().map(|(kind, ms)| {
        let width = if most > 0.0 { ms / most * 100.0 } else { 0.0 };
        let title = html(&format!("{kind}: {}", time(*ms)));
        format!(
            "<i style=\"width: {width:.3}%; background: {}\" title=\"{title}\"></i>",
            color(kinds, kind)
        )
    });
    let label = plan.by_kind_ms.iter().map(|(kind, ms)| format!("{kind} {}", time(*ms)));
    let label = html(&label.collect::<Vec<_>>().join(", "));
    let pieces: String = pieces.collect();
    format!("<div class=\"stack\" role=\"img\" aria-label=\"{label}\">{pieces}</div>")
}

fn modules(model: &ModelReport) -> String {
    let losing = model.modules.iter().filter(|module| module.saved_pct > 0.0);
    let rows: String = losing
        .take(MOST_MODULES)
        .map(|module| {
            let to = module.advised.as_deref().map_or_else(|| "dense".to_owned(), dims);
            let cells = [
                number(&model_table::layers(&module.layers)),
                number(&dims(&module.dims)),
                number(&to),
                number(&percent(module.saved_pct)),
            ];
            row(&module.module, cells)
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head =
        header("Module", &[("Layers", true), ("Now", true), ("Set to", true), ("Saves", true)]);
    let note = format!(
        "What the advised plan changes, with at most {} more parameters. “Saves” is a part of the \
         compressed model's time, the mean over all token counts.",
        percent(model.max_overhead_pct)
    );
    section("modules", "Modules that lose most", &html(&note), &head, &rows)
}

fn layers(model: &ModelReport) -> String {
    let rows: String = model
        .whole_layers
        .iter()
        .map(|layer| {
            let what = format!("{} {}, {}", layer.phase, layer.tokens, layer.plan);
            let cells = [
                number(&time(layer.graph_ms)),
                number(&time(layer.parts_ms)),
                number(&format!("{:+.1} %", layer.difference_pct)),
                format!(
                    "<td class=\"finding\">{}</td>",
                    html(layer.note.as_deref().unwrap_or_default())
                ),
            ];
            row(&what, cells)
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = header(
        "Step, plan",
        &[("One graph", true), ("Sum of parts", true), ("Parts longer by", true), ("Why", false)],
    );
    let at = model.whole_layers.first().map_or(0, |layer| layer.layer);
    let note = format!("Layer {at} as a single graph, beside the sum of its operations.");
    section("layers", "A whole layer against its parts", &note, &head, &rows)
}
