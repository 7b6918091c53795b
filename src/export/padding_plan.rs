//! What to pad a dimension of a GEMM to: larger ones that are sure to be faster.

use super::curves::{Curve, Problem, curves};
use super::saving::{Saving, best, larger};
use super::source::Source;
use crate::results::view::Axis;
use anyhow::{Result, ensure};
use serde::Serialize;

#[derive(Serialize)]
pub struct Entry {
    #[serde(flatten)]
    problem: Problem,
    curve: String,
    pad: Vec<Pad>,
    /// Measured dimensions that nothing larger is sure to beat.
    keep: Vec<usize>,
}

#[derive(Serialize)]
struct Pad {
    dim: usize,
    p50_ms: f64,
    pad_to: usize,
    pad_to_p50_ms: f64,
    #[serde(flatten)]
    saving: Saving,
    /// How much larger the tensors with this dimension become.
    memory_overhead_pct: f64,
}

pub fn of(sources: &[Source]) -> Result<Vec<Entry>> {
    let is_gemm = |axis| !matches!(axis, Axis::Sdpa | Axis::Decode);
    let curves = curves(sources).into_iter().filter(|curve| is_gemm(curve.problem.axis));
    let entries: Vec<Entry> = curves.map(entry).collect();
    ensure!(
        !entries.is_empty(),
        "these runs have no time of a GEMM over one of its dimensions: take runs of G3, G4, G5, P1 \
         or L1"
    );
    Ok(entries)
}

fn entry(curve: Curve) -> Entry {
    let (mut pad, mut keep) = (Vec::new(), Vec::new());
    for (&dim, own) in &curve.rows {
        match best(own, larger(&curve.rows, dim).map(|(other, row)| (other, *row))) {
            None => keep.push(dim),
            Some((pad_to, row, saving)) => pad.push(Pad {
                dim,
                p50_ms: own.timing.p50,
                pad_to,
                pad_to_p50_ms: row.timing.p50,
                saving,
                memory_overhead_pct: (pad_to as f64 / dim as f64 - 1.0) * 100.0,
            }),
        }
    }
    Entry { problem: curve.problem, curve: curve.name.to_owned(), pad, keep }
}
