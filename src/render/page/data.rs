//! What the script of a page draws and lists: every point once, without its samples.

use super::escape::visible;
use super::kernels;
use super::words;
use crate::device::kernel::Kernel;
use crate::ops::error::ErrorKind;
use crate::ops::sdpa;
use crate::render::plot::{PALETTE, common_fields, fields};
use crate::results::compared::{self, Compared};
use crate::results::raw::{Cold, Derived, Point, Raw, Row, Variant};
use crate::results::summary::{Curve, Summary};
use crate::results::view::{Bars, Layout, View};
use crate::stats::{Timing, percentile, sorted};
use indexmap::IndexSet;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole of it. Texts are as [`visible`] leaves them; numbers have six digits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// How the points are drawn: over a swept dimension, coloured by its alignment (`sweep`); over
    /// a few dimensions side by side, coloured by curve (`columns`); a bar each (`bars`).
    pub layout: &'static str,
    /// Whether the bars of all panels are on one scale.
    pub is_shared: bool,
    /// What the swept dimension is called.
    pub dim_name: &'static str,
    /// Titles of the panels.
    pub panels: Vec<String>,
    /// The curves, in the order of the spec.
    pub curves: Vec<CurveName>,
    /// Names of kernels, each once.
    pub kernels: IndexSet<String>,
    /// Reasons, flags and errors, each once.
    pub texts: IndexSet<String>,
    /// Rows and their variants, in the order of the spec.
    pub points: Vec<Dot>,
}

/// A curve by its names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveName {
    /// In full.
    pub name: String,
    /// Without what the title of its panel says.
    pub short: String,
    /// Number of its colour where curves are told apart by it: a backend's own, as in the plots.
    pub color: usize,
}

/// A row or a variant of one. Times are ms of one launch; `kernels`, `reason`, `flags` and `error`
/// are indices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dot {
    panel: usize,
    curve: usize,
    dim: usize,
    case_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// Name of its bar.
    #[serde(skip_serializing_if = "Option::is_none")]
    bar: Option<String>,
    /// Whether it is what the others are compared with, and drawn so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    base: bool,
    /// What it gains or costs against the rest, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Outcome {
    Measured(Box<Measured>),
    Failed { error_kind: String, error: usize },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Measured {
    p50_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ci95_ms: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p10_ms: Option<f64>,
    p90_ms: f64,
    tflops: f64,
    /// p50 and p99 of single launches.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolated_ms: Option<[f64; 2]>,
    /// Medians with cold caches, and as the published suite times.
    #[serde(skip_serializing_if = "Option::is_none")]
    cold_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_call_ms: Option<f64>,
    /// Shares of peak compute and bandwidth, in per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    of_peak_pct: Option<[f64; 2]>,
    kernels: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<usize>,
    /// Its next multiple of 8 and the ratio to that one's median.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<(usize, f64)>,
    /// Where it is a cliff: what to pad to, and how many times as fast that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pad: Option<(usize, f64)>,
}

/// The points of a run.
pub fn of(raw: &Raw, summary: &Summary, view: &View) -> Data {
    let bars = bars(view);
    let mut data = Data {
        layout: match view.layout {
            Layout::Sweep => "sweep",
            Layout::Columns => "columns",
            Layout::Bars(_) => "bars",
        },
        is_shared: bars.is_some_and(|bars| !bars.by_curve),
        dim_name: view.dim,
        panels: Vec::new(),
        curves: Vec::new(),
        kernels: IndexSet::new(),
        texts: IndexSet::new(),
        points: Vec::new(),
    };
    let mut panels: IndexSet<String> = IndexSet::new();
    let shapes = panel_titles(raw, view);
    let compared = bars.map(|bars| compared::of(raw, bars)).unwrap_or_default();
    for (index, ((_, name), rows)) in raw.curves().into_iter().enumerate() {
        let name = visible(name);
        let color = sdpa::color(&name).unwrap_or(index % PALETTE.len());
        data.curves.push(CurveName { short: name.clone(), color, name });
        let medians: BTreeMap<usize, f64> = rows
            .iter()
            .filter_map(|row| row.measured())
            .map(|m| (m.point.dim, m.timing.p50))
            .collect();
        for row in rows {
            let shape = || shapes[index].clone();
            let title = bars.map_or_else(shape, |bars| words::panel(bars, row.point()));
            let place = (panels.insert_full(title).0, index);
            let words = Words { bars, found: compared.get(&*row.point().case_id) };
            add(&mut data, place, row, &medians, &words, summary);
        }
    }
    data.panels = panels.into_iter().collect();
    if view.is_sweep() {
        shorten(&mut data, raw);
    }
    data
}

fn bars(view: &View) -> Option<&'static Bars> {
    match view.layout {
        Layout::Bars(bars) => Some(bars),
        Layout::Sweep | Layout::Columns => None,
    }
}

/// What is said of a row where it is drawn as bars.
struct Words<'a> {
    bars: Option<&'static Bars>,
    found: Option<&'a Compared<'a>>,
}

/// The title of each curve's panel: the part of its shape that other curves do not share, where
/// these are few.
fn panel_titles(raw: &Raw, view: &View) -> Vec<String> {
    const MOST: usize = 4;
    let common = common_fields(raw);
    let title = |(_, rows): &(_, Vec<&Row>)| {
        let shape = rows.first().map(|row| fields(&row.point().shape)).unwrap_or_default();
        let differing = shape.into_iter().filter(|f| f.0 != view.dim && !common.contains(f));
        differing.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" · ")
    };
    let titles: Vec<String> = raw.curves().iter().map(title).collect();
    let distinct: IndexSet<&String> = titles.iter().collect();
    if view.is_sweep() && distinct.len() > MOST {
        return vec![String::new(); titles.len()];
    }
    titles
}

/// Within panels of a shape each, the element type tells the curves apart, if it does.
fn shorten(data: &mut Data, raw: &Raw) {
    if data.panels.len() < 2 {
        return;
    }
    let dtypes: Vec<&str> = raw
        .curves()
        .iter()
        .map(|(_, rows)| rows.first().map_or("", |row| row.point().dtype.name()))
        .collect();
    let keys: IndexSet<(usize, &str)> =
        data.points.iter().map(|dot| (dot.panel, dtypes[dot.curve])).collect();
    if keys.len() == dtypes.len() {
        data.curves
            .iter_mut()
            .zip(dtypes)
            .for_each(|(curve, dtype)| curve.short = dtype.to_owned());
    }
}

/// Adds a row and its variants, at a panel and a curve.
fn add(
    data: &mut Data,
    (panel, curve): (usize, usize),
    row: &Row,
    medians: &BTreeMap<usize, f64>,
    &Words { bars, found }: &Words,
    summary: &Summary,
) {
    let point = row.point();
    let dot = |variant: Option<&str>, outcome: Outcome| Dot {
        panel,
        curve,
        dim: point.dim,
        case_id: visible(&point.case_id),
        variant: variant.map(|name| visible(&name.replace('_', " "))),
        bar: bars.map(|bars| words::bar(bars, point, variant)),
        base: variant.is_none()
            && bars.is_some_and(|bars| bars.base.is_some() && (bars.is_base)(point)),
        verdict: bars.zip(found).and_then(|(bars, found)| words::verdict(bars, found, variant)),
        outcome,
    };
    let outcome = match row {
        Row::Measured(row) => Outcome::Measured(Box::new(Measured {
            ci95_ms: row.ci95_p50.map(|ci| ci.map(six_digits)),
            p10_ms: percentile(&sorted(&row.timing_raw), 10.0).map(six_digits),
            backend: row.backend_selected.as_deref().map(visible),
            reason: row.backend_reason.as_deref().map(|reason| data.text(reason)),
            flags: row.flags.iter().map(|flag| data.text(flag)).collect(),
            against: against(medians, row.point.dim),
            isolated_ms: row.isolated.map(|timing| [timing.p50, timing.p99].map(six_digits)),
            cold_ms: match &row.cold {
                Some(Cold::Measured(cold)) => Some(six_digits(cold.timing.p50)),
                _ => None,
            },
            per_call_ms: row.per_call.map(|called| six_digits(called.timing.p50)),
            pad: bars.is_none().then(|| pad(summary, point)).flatten(),
            ..data.measured(&row.timing, &row.derived, &row.kernels)
        })),
        Row::Failed(row) => data.failed(row.error_kind, &row.error),
    };
    data.points.push(dot(None, outcome));
    for (name, variant) in row.variants() {
        let outcome = match variant {
            Variant::Measured { timing, kernels, derived } => {
                Outcome::Measured(Box::new(data.measured(timing, derived, kernels)))
            }
            Variant::Failed { error, error_kind } => data.failed(*error_kind, error),
        };
        data.points.push(dot(Some(name), outcome));
    }
}

impl Data {
    fn text(&mut self, text: &str) -> usize {
        self.texts.insert_full(visible(text)).0
    }

    fn failed(&mut self, kind: ErrorKind, error: &str) -> Outcome {
        Outcome::Failed { error_kind: kind.name().replace('_', " "), error: self.text(error) }
    }

    fn measured(&mut self, timing: &Timing, derived: &Derived, ran: &[Kernel]) -> Measured {
        let names = ran.iter().map(|kernel| kernels::readable(&kernel.name));
        Measured {
            p50_ms: six_digits(timing.p50),
            p90_ms: six_digits(timing.p90),
            tflops: six_digits(derived.tflops_stats.p50),
            of_peak_pct: derived.of_peak.map(|share| {
                [share.compute, share.bandwidth].map(|share| six_digits(share * 100.0))
            }),
            kernels: names.map(|name| self.kernels.insert_full(name).0).collect(),
            ..Measured::default()
        }
    }
}

fn against(medians: &BTreeMap<usize, f64>, dim: usize) -> Option<(usize, f64)> {
    let next = dim.next_multiple_of(8);
    let ratio = medians.get(&dim)? / medians.get(&next)?;
    (dim != next).then(|| (next, six_digits(ratio)))
}

/// What to pad to, where that is faster; bars say themselves what padding gains.
fn pad(summary: &Summary, point: &Point) -> Option<(usize, f64)> {
    let is_its = |curve: &&Curve| curve.series == point.series && curve.curve == point.curve;
    let curve = summary.curves.iter().find(is_its)?;
    let cliff = curve.cliffs.iter().find(|cliff| cliff.dim == point.dim)?;
    Some((cliff.pad_to, six_digits(cliff.ratio)))
}

/// More digits than the clock has would only swell the page.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
