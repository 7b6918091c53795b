//! Advice as a table, as JSON and as CSV.

use super::Advice;
use super::budget::{Comparison, Plan};
use super::recommend::Recommendation;
use crate::render::table::{table, with_header, wrapped};
use crate::terminal::text::cell;
use crate::terminal::width;
use crate::units::{list, percent, ratio, time};
use anyhow::Result;
use clap::ValueEnum;

/// A way to write advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person, as wide as the terminal, from 60 to 100 columns.
    Table,
    /// Everything, by the names of the fields of [`Advice`].
    Json,
    /// A row per dimension, and one for the sums where there is a budget.
    Csv,
}

/// Writes advice, without a newline at the end.
pub fn render(advice: &Advice, format: Format) -> Result<String> {
    Ok(match format {
        Format::Table => as_table(advice, width()),
        Format::Json => serde_json::to_string_pretty(advice)?,
        Format::Csv => as_csv(advice)?,
    })
}

fn as_table(advice: &Advice, width: usize) -> String {
    let name = advice.operation.dim_name();
    let [first, last] = advice.measured_dims;
    let title = format!(
        "{} on {}, {}: {name} {first} to {last} measured, up to {} larger allowed",
        advice.operation.name(),
        advice.device,
        advice.curve,
        percent(advice.max_overhead_pct)
    );
    let mut paragraphs = vec![wrapped("", &title, width), answers(advice, width)];
    paragraphs.extend(advice.recommendations.iter().map(|r| {
        let name = r.name.as_ref().map_or_else(String::new, |name| format!("{name}, "));
        wrapped("- ", &format!("{name}{}: {}", r.dim, r.reason), width)
    }));
    if let Some(comparison) = &advice.budget {
        paragraphs.extend(plans(comparison, width));
    }
    paragraphs.join("\n")
}

fn answers(advice: &Advice, width: usize) -> String {
    let name = advice.operation.dim_name();
    let mut header = vec![name, "median", "use", "median", "saved", "95 % interval", "memory"];
    let named = advice.recommendations.iter().any(|r| r.name.is_some());
    if named {
        header.insert(0, "name");
    }
    if advice.budget.is_some() {
        header.push("in budget");
    }
    let rows = advice.recommendations.iter().enumerate().map(|(at, r)| {
        let median = |ms: Option<f64>| ms.map_or_else(dash, time);
        let interval = r.saved_ci95_ms.filter(|_| r.recommended_dim != Some(r.dim));
        let mut cells = vec![
            r.dim.to_string(),
            median(r.p50_ms),
            r.recommended_dim.map_or_else(dash, |dim| dim.to_string()),
            median(r.recommended_p50_ms),
            r.saved_pct.map_or_else(dash, percent),
            interval.map_or_else(dash, |[low, high]| format!("{} to {}", time(low), time(high))),
            r.memory_overhead_pct.map_or_else(dash, |pct| format!("+{}", percent(pct))),
        ];
        if named {
            cells.insert(0, r.name.clone().unwrap_or_default());
        }
        cells.extend(advice.budget.iter().map(|budget| budget.optimised.dims[at].to_string()));
        cells
    });
    table(1 + usize::from(named), &with_header(header, rows), width)
}

fn plans(comparison: &Comparison, width: usize) -> Vec<String> {
    let header = ["plan", "sum of dims", "sum of medians", "of as is", "loss", "fits"];
    let rows = named_plans(comparison).map(|(name, plan)| {
        let of_as_is = plan.total_ms.zip(comparison.as_is.total_ms);
        vec![
            name.replace('_', " "),
            plan.total_dims.to_string(),
            plan.total_ms.map_or_else(dash, time),
            of_as_is.map_or_else(dash, |(own, as_is)| ratio(own / as_is)),
            time(plan.loss_ms),
            if plan.within_budget { "yes" } else { "no" }.to_owned(),
        ]
    });
    let table = table(1, &with_header(header, rows), width);
    let mut paragraphs = vec![format!("Within {}:", comparison.budget), table];
    if !comparison.without_times.is_empty() {
        paragraphs.push(wrapped(
            "! ",
            &format!(
                "nothing near {} was measured: kept, and not in the medians",
                list(&comparison.without_times)
            ),
            width,
        ));
    }
    paragraphs
}

fn named_plans(comparison: &Comparison) -> [(&'static str, &Plan); 3] {
    let Comparison { optimised, round_up_to_8, as_is, .. } = comparison;
    [("optimised", optimised), ("round_up_to_8", round_up_to_8), ("as_is", as_is)]
}

fn dash() -> String {
    "-".to_owned()
}

fn as_csv(advice: &Advice) -> Result<String> {
    const HEADER: &str = "name,dim,recommended_dim,p50_ms,recommended_p50_ms,saved_ms,\
        saved_ms_low,saved_ms_high,saved_pct,memory_overhead_pct,kernels_from,kernels_to,reason";
    let mut header: Vec<String> = HEADER.split(',').map(str::to_owned).collect();
    let plans = advice.budget.as_ref().map(named_plans);
    for (name, _) in plans.iter().flatten() {
        header.extend([format!("{name}_dim"), format!("{name}_p50_ms")]);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header)?;
    for (at, recommendation) in advice.recommendations.iter().enumerate() {
        let mut fields = csv_fields(recommendation);
        for (_, plan) in plans.iter().flatten() {
            fields.extend([plan.dims[at].to_string(), number(plan.p50_ms[at])]);
        }
        writer.write_record(&fields)?;
    }
    if let Some(plans) = plans {
        let mut fields = vec![String::new(); header.len() - 2 * plans.len()];
        fields[0] = "total".to_owned();
        for (_, plan) in plans {
            fields.extend([plan.total_dims.to_string(), number(plan.total_ms)]);
        }
        writer.write_record(&fields)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?.trim_end().to_owned())
}

fn csv_fields(r: &Recommendation) -> Vec<String> {
    let change = r.kernel_change.as_ref();
    vec![
        cell(r.name.as_deref().unwrap_or_default()),
        r.dim.to_string(),
        r.recommended_dim.map(|dim| dim.to_string()).unwrap_or_default(),
        number(r.p50_ms),
        number(r.recommended_p50_ms),
        number(r.saved_ms),
        number(r.saved_ci95_ms.map(|[low, _]| low)),
        number(r.saved_ci95_ms.map(|[_, high]| high)),
        number(r.saved_pct),
        number(r.memory_overhead_pct),
        change.map(|change| cell(&change.from.join(" + "))).unwrap_or_default(),
        change.map(|change| cell(&change.to.join(" + "))).unwrap_or_default(),
        cell(&r.reason),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
