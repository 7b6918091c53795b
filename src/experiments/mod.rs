//! The types of experiments. A file holds the struct of a type's YAML keys, its checks, its cases
//! and its [`View`]; nothing else knows a type.

#![allow(missing_docs)] // of what its name says

mod attention;
pub(crate) mod check;
pub(crate) mod dims;
mod gemm;
mod gemm_k_dense;
mod gemm_m_dense;
mod gemm_n_dense;
mod hetero_batching;
mod low_rank_pair;
pub mod model_layers;
mod padding_rescue;
mod prelude;
mod sdpa_backend_forced;
mod sdpa_backend_selection;
mod sdpa_decode;
mod sdpa_dense;
pub mod sweep;
pub(crate) mod value;

use crate::results::findings;
use crate::results::view::{Axis, Layout, Plot, View};
use serde_json::Value;
use sweep::Type;

pub static TYPES: &[Type] = &[
    sdpa_dense::TYPE,
    sdpa_backend_forced::TYPE,
    sdpa_backend_selection::TYPE,
    gemm_k_dense::TYPE,
    gemm_n_dense::TYPE,
    gemm_m_dense::TYPE,
    padding_rescue::TYPE,
    hetero_batching::TYPE,
    low_rank_pair::TYPE,
    model_layers::TYPE,
    sdpa_decode::TYPE,
];

pub fn names() -> Vec<&'static str> {
    TYPES.iter().map(|known| known.name).collect()
}

pub fn find(name: &str) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.name == name)
}

/// How a run is shown whose spec entry is `config`: a plain sweep if its type is not known here.
pub fn view(config: &Value) -> &'static View {
    let known = config["type"].as_str().and_then(find);
    known.map_or(&PLAIN, |known| &known.view)
}

static PLAIN: View = View {
    dim: "dim",
    title: "Curves",
    layout: Layout::Sweep,
    plots: &[Plot::latency("latency", "Latency")],
    findings: &[findings::sweep::add],
    axes: &[Axis::Decode, Axis::Sdpa, Axis::GemmK, Axis::GemmN, Axis::GemmM, Axis::LowRank],
};
