//! The latency of each operation that was timed: what a pruning solver adds up.

use super::shape::{batch_of, causal_of, is_model, layout_of};
use super::source::Source;
use crate::results::raw::{Cold, Measured, Row, Shape, Variant};
use crate::workload::Precision;
use crate::workload::provider::Provider;
use anyhow::{Result, ensure};
use indexmap::IndexMap;
use serde::Serialize;

#[derive(Serialize)]
pub struct Entry {
    #[serde(flatten)]
    what: What,
    p50_ms: f64,
    ci95_p50_ms: Option<[f64; 2]>,
    cold_p50_ms: Option<f64>,
    run_id: String,
    case_id: String,
}

/// What two entries never have in common.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct What {
    op: Op,
    /// Rows of a GEMM; queries of an attention, over all sequences.
    tokens: usize,
    shape: Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causal: Option<bool>,
    dtype: Precision,
    operands: Operands,
    provider: Provider,
    /// Asked for, and run; of an attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend_selected: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Gemm,
    LowRankPair,
    Sdpa,
}

/// Where operands come from in steady state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
enum Operands {
    /// The same ones at each launch: from caches, as far as they fit.
    Warm,
    /// Others at each launch: from memory.
    Cold,
}

/// Where several runs timed the same, the first one counts.
pub fn of(sources: &[Source]) -> Result<Vec<Entry>> {
    let mut entries: IndexMap<What, Entry> = IndexMap::new();
    for source in sources {
        for row in &source.raw.measurements {
            let Row::Measured(measured) = row else { continue };
            let Some(what) = what(source, row, measured) else { continue };
            for entry in entries_of(source, measured, what) {
                entries.entry(entry.what.clone()).or_insert(entry);
            }
        }
    }
    ensure!(
        !entries.is_empty(),
        "these runs have no time of a GEMM, a low-rank pair or an attention"
    );
    Ok(entries.into_values().collect())
}

fn what(source: &Source, row: &Row, measured: &Measured) -> Option<What> {
    let (raw, point) = (&source.raw, &measured.point);
    let (op, tokens) = match point.shape {
        // Several GEMMs, and whole layers, are sums of others.
        Shape::Gemm(_) if measured.total_latency_ms.is_some() => return None,
        Shape::Layer { .. } => return None,
        Shape::Gemm(shape) => (Op::Gemm, shape.m),
        Shape::LowRank(shape) => (Op::LowRankPair, shape.m),
        Shape::Sdpa(shape) => (Op::Sdpa, shape.batch * shape.seq_len),
    };
    let is_attention = op == Op::Sdpa;
    Some(What {
        op,
        tokens,
        shape: point.shape,
        batch: batch_of(point).filter(|_| !is_attention),
        layout: layout_of(raw, point),
        causal: causal_of(point),
        dtype: point.dtype,
        operands: if is_model(raw) { Operands::Cold } else { Operands::Warm },
        provider: measured.provider,
        backend: is_attention.then(|| row.backend().to_owned()),
        backend_selected: measured.backend_selected.clone(),
    })
}

/// The row's, and PyTorch's where that was timed beside it.
fn entries_of(source: &Source, row: &Measured, what: What) -> Vec<Entry> {
    let run_id = || source.raw.metadata.run_id.clone();
    let case_id = || row.point.case_id.clone();
    let cold_p50_ms = match &row.cold {
        Some(Cold::Measured(cold)) => Some(cold.timing.p50),
        Some(Cold::NotApplicable { .. }) | None => None,
    };
    let mut entries = Vec::new();
    if let Some(Variant::Measured { timing, .. }) = row.variants.get("pytorch") {
        entries.push(Entry {
            what: What { provider: Provider::Pytorch, ..what.clone() },
            p50_ms: timing.p50,
            ci95_p50_ms: None,
            cold_p50_ms: None,
            run_id: run_id(),
            case_id: case_id(),
        });
    }
    let (p50_ms, ci95_p50_ms) = (row.timing.p50, row.ci95_p50);
    let own =
        Entry { what, p50_ms, ci95_p50_ms, cold_p50_ms, run_id: run_id(), case_id: case_id() };
    entries.insert(0, own);
    entries
}
