//! Which of PyTorch's attention backends to take at a head_dim, and what to pad it to.

use super::curves::curves;
use super::saving::{Saving, best, larger};
use super::source::Source;
use crate::results::raw::{Measured, Shape};
use crate::workload::Precision;
use crate::workload::operation::Backend;
use crate::workload::provider::Provider;
use crate::workload::shape::SdpaShape;
use anyhow::{Result, ensure};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub struct Entry {
    head_dim: usize,
    dtype: Precision,
    causal: bool,
    batch: usize,
    seq_len: usize,
    kv_len: usize,
    n_heads: usize,
    n_kv_heads: usize,
    /// What PyTorch takes by itself.
    auto: Timed,
    /// The fastest at this head_dim.
    as_is: Timed,
    /// The fastest that is larger, where it is sure to beat AUTO.
    padded: Option<Padded>,
    /// The fastest that is padded where it is sure to beat all that are not, else the fastest;
    /// AUTO's own where nothing is sure to beat it.
    #[serde(rename = "use")]
    choice: Choice,
}

#[derive(Clone, Serialize)]
struct Timed {
    /// That ran.
    backend: Backend,
    p50_ms: f64,
    ci95_p50_ms: Option<[f64; 2]>,
}

#[derive(Serialize)]
struct Padded {
    pad_to: usize,
    #[serde(flatten)]
    timed: Timed,
    #[serde(flatten)]
    saving: Saving,
    memory_overhead_pct: f64,
}

#[derive(Serialize)]
struct Choice {
    backend: Backend,
    /// Its name in `torch.nn.attention.SDPBackend`.
    sdp_backend: &'static str,
    /// The head_dim itself where it is not padded.
    pad_to: usize,
    p50_ms: f64,
    /// Time of AUTO, at the head_dim as it is, over the time of this.
    factor: f64,
}

/// An attention but for its head_dim.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    shape: SdpaShape,
    dtype: Precision,
    causal: bool,
}

/// The rows of an attention by head_dim and by the backend that was asked for.
type Rows<'a> = BTreeMap<usize, BTreeMap<Backend, &'a Measured>>;

pub fn of(sources: &[Source]) -> Result<Vec<Entry>> {
    let mut attentions: IndexMap<Key, Rows> = IndexMap::new();
    for curve in curves(sources) {
        let (problem, Shape::Sdpa(shape)) = (&curve.problem, curve.problem.shape) else { continue };
        let asked = problem.backend.as_deref().and_then(named);
        let Some(asked) = asked.filter(|_| problem.provider == Some(Provider::Pytorch)) else {
            continue;
        };
        let causal = problem.causal.unwrap_or(false);
        let rows = attentions.entry(Key { shape, dtype: problem.dtype, causal }).or_default();
        for (head_dim, row) in curve.rows.into_iter().filter(|(_, row)| ran(row).is_some()) {
            rows.entry(head_dim).or_default().entry(asked).or_insert(row);
        }
    }
    let of_key = |(key, rows)| entries(key, rows);
    let entries: Vec<Entry> = attentions.iter().flat_map(of_key).collect();
    ensure!(
        !entries.is_empty(),
        "these runs have no time of PyTorch's AUTO: take runs of S1, S2, C21, P1 or D1 that were \
         made with PyTorch"
    );
    Ok(entries)
}

fn entries(key: &Key, rows: &Rows) -> Vec<Entry> {
    rows.keys().filter_map(|&head_dim| entry(key, rows, head_dim)).collect()
}

fn entry(key: &Key, rows: &Rows, head_dim: usize) -> Option<Entry> {
    let here = &rows[&head_dim];
    let own = *here.get(&Backend::Auto)?;
    let (auto, as_is) = (timed(own)?, here.values().copied().min_by(|a, b| faster(a, b))?);
    let other = best(own, [(head_dim, as_is)]);
    let larger = larger(rows, head_dim).filter_map(|(pad_to, by_backend)| {
        Some((pad_to, by_backend.values().copied().min_by(|a, b| faster(a, b))?))
    });
    let padded = best(own, larger);
    // Memory is spent where that is sure to beat any backend without.
    let worth_it = padded.filter(|(_, row, _)| Saving::of(as_is, row).is_some());
    let (pad_to, row, factor) = match worth_it.or(other) {
        Some((pad_to, row, saving)) => (pad_to, row, saving.factor),
        None => (head_dim, own, 1.0),
    };
    let backend = ran(row)?;
    Some(Entry {
        head_dim,
        dtype: key.dtype,
        causal: key.causal,
        batch: key.shape.batch,
        seq_len: key.shape.seq_len,
        kv_len: key.shape.kv_len(),
        n_heads: key.shape.n_heads,
        n_kv_heads: key.shape.kv_heads(),
        auto,
        as_is: timed(as_is)?,
        padded: match padded {
            None => None,
            Some((pad_to, row, saving)) => Some(Padded {
                pad_to,
                timed: timed(row)?,
                saving,
                memory_overhead_pct: (pad_to as f64 / head_dim as f64 - 1.0) * 100.0,
            }),
        },
        choice: Choice {
            backend,
            sdp_backend: sdp_backend(backend)?,
            pad_to,
            p50_ms: row.timing.p50,
            factor,
        },
    })
}

fn faster(a: &Measured, b: &Measured) -> std::cmp::Ordering {
    a.timing.p50.total_cmp(&b.timing.p50)
}

fn timed(row: &Measured) -> Option<Timed> {
    Some(Timed { backend: ran(row)?, p50_ms: row.timing.p50, ci95_p50_ms: row.ci95_p50 })
}

/// A published name.
fn named(name: &str) -> Option<Backend> {
    Backend::ALL.into_iter().find(|known| known.is_published() && known.name() == name)
}

/// The backend that ran, if PyTorch can be told to take it.
fn ran(row: &Measured) -> Option<Backend> {
    row.backend_selected.as_deref().and_then(named).filter(|ran| sdp_backend(*ran).is_some())
}

fn sdp_backend(backend: Backend) -> Option<&'static str> {
    match backend {
        Backend::Flash => Some("FLASH_ATTENTION"),
        Backend::MemEfficient => Some("EFFICIENT_ATTENTION"),
        Backend::Math => Some("MATH"),
        Backend::Cudnn => Some("CUDNN_ATTENTION"),
        _ => None,
    }
}
