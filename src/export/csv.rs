//! A row per point and per variant.

use super::shape::{batch_of, causal_of, layout_of};
use super::source::Source;
use crate::results::raw::{Cold, Derived, Failed, Measured, Raw, Row, Shape, Variant};
use crate::stats::Timing;
use crate::terminal::text::cell;
use crate::workload::provider::Provider;
use crate::workload::{ErrorKind, Precision};
use anyhow::Result;
use serde::Serialize;

/// A line; its fields are the columns. What does not apply is an empty cell.
#[derive(Clone, Default, Serialize)]
struct Line {
    case_id: String,
    variant: Option<String>,
    group: String,
    experiment: String,
    run_id: String,
    device: String,
    device_name: Option<String>,
    provider: Option<Provider>,
    backend: Option<String>,
    backend_selected: Option<String>,
    stand_in: Option<bool>,
    padded_to: Option<usize>,
    dtype: Option<Precision>,
    curve: String,
    dim: usize,
    #[serde(rename = "M")]
    m: Option<usize>,
    #[serde(rename = "N")]
    n: Option<usize>,
    #[serde(rename = "K")]
    k: Option<usize>,
    layout: Option<String>,
    batch: Option<usize>,
    seq_len: Option<usize>,
    kv_len: Option<usize>,
    n_heads: Option<usize>,
    n_kv_heads: Option<usize>,
    head_dim: Option<usize>,
    causal: Option<bool>,
    in_features: Option<usize>,
    rank: Option<usize>,
    out_features: Option<usize>,
    logical_dim: Option<usize>,
    p50_ms: Option<f64>,
    ci95_low_ms: Option<f64>,
    ci95_high_ms: Option<f64>,
    p90_ms: Option<f64>,
    cycles_p50: Option<f64>,
    tflops_mean: Option<f64>,
    bandwidth_gbs_mean: Option<f64>,
    isolated_p50_ms: Option<f64>,
    cold_p50_ms: Option<f64>,
    per_call_p50_ms: Option<f64>,
    error_kind: Option<ErrorKind>,
    error: Option<String>,
    /// Separated by semicolons.
    flags: String,
}

pub fn of(sources: &[Source]) -> Result<String> {
    let mut text = header()?;
    for Source { raw, .. } in sources {
        let rows = raw.measurements.iter();
        text += &written(rows.flat_map(|row| lines(raw, row)), false)?;
    }
    Ok(text)
}

/// The first line of every such file.
pub fn header() -> Result<String> {
    let text = written([Line::default()], true)?;
    Ok(text.lines().next().unwrap_or_default().to_owned() + "\n")
}

fn written(lines: impl IntoIterator<Item = Line>, has_headers: bool) -> Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(has_headers).from_writer(Vec::new());
    for line in lines {
        writer.serialize(line)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The row's own line, and one for each variant: of another operation at the same point.
fn lines(raw: &Raw, row: &Row) -> Vec<Line> {
    let point = of_point(raw, row);
    let own = match row {
        Row::Measured(measured) => of_measured(point.clone(), measured),
        Row::Failed(failed) => of_failed(point.clone(), failed),
    };
    let variants = row.variants().iter().map(|(name, variant)| {
        let line = Line { variant: Some(cell(name)), ..point.clone() };
        match variant {
            Variant::Measured { timing, derived, .. } => timed(line, timing, derived),
            Variant::Failed { error, error_kind } => {
                Line { error_kind: Some(*error_kind), error: Some(cell(error)), ..line }
            }
        }
    });
    std::iter::once(own).chain(variants).collect()
}

/// What the row and its variants have in common.
fn of_point(raw: &Raw, row: &Row) -> Line {
    let (metadata, point) = (&raw.metadata, row.point());
    let line = Line {
        case_id: cell(&point.case_id),
        group: cell(&metadata.group),
        experiment: cell(&metadata.experiment_name),
        run_id: cell(&metadata.run_id),
        device: cell(&metadata.device),
        device_name: metadata.device_name.as_deref().map(cell),
        dtype: Some(point.dtype),
        curve: cell(&point.curve),
        dim: point.dim,
        layout: layout_of(raw, point).as_deref().map(cell),
        batch: batch_of(point),
        causal: causal_of(point),
        logical_dim: point.number("logical_dim").map(|dim| dim as usize),
        ..Line::default()
    };
    match point.shape {
        Shape::Gemm(shape) => Line { m: Some(shape.m), n: Some(shape.n), k: Some(shape.k), ..line },
        Shape::LowRank(shape) => Line {
            m: Some(shape.m),
            in_features: Some(shape.in_features),
            rank: Some(shape.rank),
            out_features: Some(shape.out_features),
            ..line
        },
        Shape::Layer { .. } => line,
        Shape::Sdpa(shape) => Line {
            backend: Some(cell(row.backend())),
            seq_len: Some(shape.seq_len),
            kv_len: Some(shape.kv_len()),
            n_heads: Some(shape.n_heads),
            n_kv_heads: Some(shape.kv_heads()),
            head_dim: Some(shape.head_dim),
            ..line
        },
    }
}

fn of_measured(line: Line, row: &Measured) -> Line {
    let (low, high) = row.ci95_p50.map(|[low, high]| (low, high)).unzip();
    let cold = match &row.cold {
        Some(Cold::Measured(cold)) => Some(cold.timing.p50),
        Some(Cold::NotApplicable { .. }) | None => None,
    };
    Line {
        provider: Some(row.provider),
        backend_selected: row.backend_selected.as_deref().map(cell),
        stand_in: Some(row.stand_in),
        padded_to: row.padded_to,
        ci95_low_ms: low,
        ci95_high_ms: high,
        cycles_p50: row.cycles_p50,
        isolated_p50_ms: row.isolated.map(|isolated| isolated.p50),
        cold_p50_ms: cold,
        per_call_p50_ms: row.per_call.map(|per_call| per_call.timing.p50),
        flags: cell(&row.flags.join(";")),
        ..timed(line, &row.timing, &row.derived)
    }
}

fn of_failed(line: Line, row: &Failed) -> Line {
    Line { error_kind: Some(row.error_kind), error: Some(cell(&row.error)), ..line }
}

fn timed(line: Line, timing: &Timing, derived: &Derived) -> Line {
    Line {
        p50_ms: Some(timing.p50),
        p90_ms: Some(timing.p90),
        tflops_mean: Some(derived.tflops_mean),
        bandwidth_gbs_mean: Some(derived.bandwidth_gbs_mean),
        ..line
    }
}
