//! What the script of a page draws and lists: every point once, without its samples.

use super::escape::{self, visible};
use super::words;
use crate::device::kernel::Kernel;
use crate::ops::sdpa;
use crate::render::plot::{PALETTE, common_fields, differing};
use crate::results::compared::{self, Compared};
use crate::results::raw::{Cold, Derived, Measured, Point, Raw, Row, Variant, marked};
use crate::results::summary::{Curve, Summary};
use crate::results::view::{Bars, Layout, View};
use crate::stats::{Timing, percentile, sorted};
use crate::units::rounded;
use crate::workload::ErrorKind;
use indexmap::IndexSet;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The whole of it. Texts are as [`visible`] leaves them; numbers have six digits.
#[derive(Serialize)]
pub struct Data {
    /// How the points are drawn: over a swept dimension, coloured by its alignment (`sweep`); over
    /// a few dimensions side by side, coloured by curve (`columns`); a bar each (`bars`).
    layout: &'static str,
    /// Whether the bars of all panels are on one scale.
    is_shared: bool,
    dim_name: &'static str,
    panels: IndexSet<String>,
    curves: Vec<CurveName>,
    kernels: IndexSet<String>,
    /// Reasons, flags and errors, each once.
    texts: IndexSet<String>,
    /// Rows and their variants, in the order of the spec. Times are ms of one launch; `kernels`,
    /// `reason`, `flags` and `error` are indices; what is not known is left out.
    points: Vec<Value>,
}

#[derive(Serialize)]
struct CurveName {
    name: String,
    /// Without what the title of its panel says.
    short: String,
    /// Number of its colour where curves are told apart by it: a backend's own, as in the plots.
    color: usize,
}

pub fn of(raw: &Raw, summary: &Summary, view: &View) -> Data {
    let (layout, bars) = match view.layout {
        Layout::Sweep | Layout::Model => ("sweep", None),
        Layout::Columns => ("columns", None),
        Layout::Bars(bars) => ("bars", Some(bars)),
    };
    let mut data = Data {
        layout,
        is_shared: bars.is_some_and(|bars| !bars.by_curve),
        dim_name: view.dim,
        panels: IndexSet::new(),
        curves: Vec::new(),
        kernels: IndexSet::new(),
        texts: IndexSet::new(),
        points: Vec::new(),
    };
    let shapes = panel_titles(raw, view);
    let compared = bars.map(|bars| compared::of(raw, bars)).unwrap_or_default();
    // The panel of each curve's points, and what may tell it apart from others in there.
    let (mut by_dtype, mut by_backend) = (IndexSet::new(), IndexSet::new());
    for (index, ((_, name), rows)) in raw.curves().into_iter().enumerate() {
        let color = sdpa::look(name).map_or(index % PALETTE.len(), |look| look.color);
        let name = visible(&marked(name, rows.iter().any(|row| row.is_stand_in())));
        data.curves.push(CurveName { short: name.clone(), color, name: name.clone() });
        let measured = rows.iter().filter_map(|row| row.measured());
        let medians = measured.map(|m| (m.point.dim, m.timing.p50)).collect();
        for row in rows {
            let shape = || shapes[index].clone();
            let bar = |bars: &Bars| Some(words::panel(bars, row.point(), &name));
            let title = bars.map_or_else(shape, bar);
            let panel = title.map(|title| data.panels.insert_full(title).0);
            let found = compared.get(&*row.point().case_id);
            by_dtype.insert((panel, row.point().dtype.name()));
            by_backend.insert((panel, row.backend()));
            add(&mut data, (panel, index), row, &medians, (bars, found), summary);
        }
    }
    // Within panels of a shape each, a word tells the curves apart: the element type, or else the
    // backend that was asked for.
    let short: Option<fn(&[&Row]) -> String> = match data.curves.len() {
        _ if !view.is_sweep() || data.panels.len() < 2 => None,
        curves if by_dtype.len() == curves => {
            Some(|rows| rows.first().map_or("", |row| row.point().dtype.name()).to_owned())
        }
        curves if by_backend.len() == curves => Some(|rows| {
            let name = rows.first().map_or("", |row| row.backend());
            visible(&marked(name, rows.iter().any(|row| row.is_stand_in())))
        }),
        _ => None,
    };
    if let Some(short) = short {
        for (curve, (_, rows)) in data.curves.iter_mut().zip(raw.curves()) {
            curve.short = short(&rows);
        }
    }
    data
}

/// The title of each curve's panel: the part of its shape that other curves do not share, where
/// these are few. Of a model's operations the name, none where there is no curve to draw.
fn panel_titles(raw: &Raw, view: &View) -> Vec<Option<String>> {
    const MOST: usize = 4;
    if matches!(view.layout, Layout::Model) {
        return raw.curves().iter().map(|((_, name), rows)| of_operation(name, rows)).collect();
    }
    let common = common_fields(raw);
    let title = |rows: &[&Row]| {
        rows.first().map(|row| differing(row.point(), view.dim, &common)).unwrap_or_default()
    };
    let titles: Vec<String> = raw.curves().iter().map(|(_, rows)| title(rows)).collect();
    let distinct: IndexSet<&String> = titles.iter().collect();
    if view.is_sweep() && distinct.len() > MOST {
        return vec![Some(String::new()); titles.len()];
    }
    titles.into_iter().map(Some).collect()
}

/// The curves of a whole layer under its plans share a panel.
fn of_operation(name: &str, rows: &[&Row]) -> Option<String> {
    let dims: IndexSet<usize> = rows.iter().map(|row| row.point().dim).collect();
    let plan = rows.first()?.point().labels.get("plan").and_then(Value::as_str);
    let of_layer = plan.and_then(|plan| name.strip_suffix(plan)?.strip_suffix(", "));
    (dims.len() > 1).then(|| visible(of_layer.unwrap_or(name)))
}

fn add(
    data: &mut Data,
    (panel, curve): (Option<usize>, usize),
    row: &Row,
    medians: &BTreeMap<usize, f64>,
    (bars, found): (Option<&Bars>, Option<&Compared>),
    summary: &Summary,
) {
    let point = row.point();
    let dot = |variant: Option<&str>, outcome: Value| {
        let is_base = bars.is_some_and(|bars| bars.base.is_some() && (bars.is_base)(point));
        let mut dot = json!({
            "panel": panel,
            "curve": curve,
            "dim": point.dim,
            "case_id": visible(&point.case_id),
            "variant": variant.map(|name| visible(&name.replace('_', " "))),
            "bar": bars.map(|bars| words::bar(bars, point, variant)),
            // What the others are compared with, and drawn so.
            "base": (is_base && variant.is_none()).then_some(true),
            "verdict": bars
                .zip(found)
                .and_then(|(bars, found)| words::verdict(bars, found, variant)),
        });
        if let (Value::Object(dot), Value::Object(outcome)) = (&mut dot, outcome) {
            dot.extend(outcome);
            dot.retain(|_, value| !value.is_null());
        }
        dot
    };
    let outcome = match row {
        Row::Measured(row) => {
            let pad = bars.is_none().then(|| pad(summary, point)).flatten();
            let more = Some((&**row, against(medians, point.dim), pad));
            data.measured(&row.timing, &row.derived, &row.kernels, more)
        }
        Row::Failed(row) => data.failed(row.error_kind, &row.error),
    };
    data.points.push(dot(None, outcome));
    for (name, variant) in row.variants() {
        let outcome = match variant {
            Variant::Measured { timing, kernels, derived } => {
                data.measured(timing, derived, kernels, None)
            }
            Variant::Failed { error, error_kind } => data.failed(*error_kind, error),
        };
        data.points.push(dot(Some(name), outcome));
    }
}

/// A dimension, and a ratio to the time there.
type Other = Option<(usize, f64)>;

impl Data {
    fn text(&mut self, text: &str) -> usize {
        self.texts.insert_full(visible(text)).0
    }

    fn failed(&mut self, kind: ErrorKind, error: &str) -> Value {
        json!({ "error_kind": kind.words(), "error": self.text(error) })
    }

    /// A time; of a row `more`: its next multiple of 8, and where it is a cliff what to pad to.
    fn measured(
        &mut self,
        timing: &Timing,
        derived: &Derived,
        ran: &[Kernel],
        more: Option<(&Measured, Other, Other)>,
    ) -> Value {
        let row = more.map(|(row, ..)| row);
        let cold_ms = row.and_then(|row| match &row.cold {
            Some(Cold::Measured(cold)) => Some(six_digits(cold.timing.p50)),
            _ => None,
        });
        let reason = row.and_then(|row| row.backend_reason.as_deref());
        let reason = reason.map(|reason| self.text(reason));
        let flags = row.map(|row| row.flags.iter().map(|flag| self.text(flag)).collect::<Vec<_>>());
        json!({
            "p50_ms": six_digits(timing.p50),
            "ci95_ms": row.and_then(|row| row.ci95_p50).map(|ci| ci.map(six_digits)),
            "p10_ms": row.and_then(|r| percentile(&sorted(&r.timing_raw), 10.0)).map(six_digits),
            "p90_ms": six_digits(timing.p90),
            "cycles": row.and_then(|row| row.cycles_p50).map(six_digits),
            "tflops": six_digits(derived.tflops_stats.p50),
            // p50 and p99.
            "isolated_ms": row
                .and_then(|row| row.isolated)
                .map(|timing| [timing.p50, timing.p99].map(six_digits)),
            "cold_ms": cold_ms,
            "per_call_ms": row.and_then(|r| r.per_call).map(|call| six_digits(call.timing.p50)),
            // Joules, how far off in per cent, and TFLOP per joule.
            "energy": row.and_then(|row| row.energy).map(|energy| {
                [energy.joules_per_launch, energy.uncertainty_pct, energy.tflop_per_joule]
                    .map(six_digits)
            }),
            "of_peak_pct": derived.of_peak.map(|share| {
                [share.compute, share.bandwidth].map(|share| six_digits(share * 100.0))
            }),
            "kernels": ran
                .iter()
                .map(|kernel| self.kernels.insert_full(escape::kernel(&kernel.name)).0)
                .collect::<Vec<_>>(),
            "backend": row.and_then(|row| row.backend_selected.as_deref()).map(visible),
            "reason": reason,
            "flags": flags.filter(|flags| !flags.is_empty()),
            "against": more.and_then(|(_, against, _)| against),
            "pad": more.and_then(|(.., pad)| pad),
        })
    }
}

fn against(medians: &BTreeMap<usize, f64>, dim: usize) -> Other {
    let next = dim.next_multiple_of(8);
    let ratio = medians.get(&dim)? / medians.get(&next)?;
    (dim != next).then(|| (next, six_digits(ratio)))
}

/// What to pad to, where that is faster; bars say themselves what padding gains.
fn pad(summary: &Summary, point: &Point) -> Other {
    let is_its = |curve: &&Curve| curve.series == point.series && curve.curve == point.curve;
    let curve = summary.curves.iter().find(is_its)?;
    let cliff = curve.cliffs.iter().find(|cliff| cliff.dim == point.dim)?;
    Some((cliff.pad_to, six_digits(cliff.ratio)))
}

/// More digits than the clock has would only swell the page.
fn six_digits(value: f64) -> f64 {
    rounded(value, 6)
}
