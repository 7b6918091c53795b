//! Good specs load as the published suite means them; bad ones are told apart in words that help.

#![allow(clippy::unwrap_used)] // in helpers of tests

mod attention;
mod chosen;
mod entries;
mod gemm;
mod refused;

use night_sweep::spec::{Experiment, Spec, SpecError};
use std::path::Path;

fn parse(text: &str) -> Result<Spec, SpecError> {
    Spec::parse(text, Path::new("spec.yaml"))
}

/// A spec of one entry `X1_test` whose keys, a line each, start on line 3 in column 5.
fn entry(keys: &str) -> String {
    let keys: String = keys.trim().lines().map(|line| format!("    {}\n", line.trim())).collect();
    format!("experiments:\n  X1_test:\n{keys}")
}

fn experiment(keys: &str) -> Experiment {
    parse(&entry(keys)).unwrap().experiment("X1_test").unwrap().clone()
}

fn dims(experiment: &Experiment) -> Vec<usize> {
    let cases = experiment.cases();
    cases.iter().filter(|case| case.variant.is_none()).map(|case| case.dim).collect()
}

fn with(keys: &str, line: &str) -> String {
    entry(&format!("{keys}\n{line}"))
}

fn but(keys: &str, from: &str, to: &str) -> String {
    entry(&keys.replace(from, to))
}

/// The message is a single line that starts with the place and contains every part, between `..`.
#[track_caller]
fn refused(text: impl AsRef<str>, place: &str, parts: &str) {
    let text = text.as_ref();
    let message = parse(text).expect_err(text).to_string();
    let is_there = message.starts_with(&format!("spec.yaml:{place}: "));
    assert!(is_there && !message.contains('\n'), "{message}\nnot at {place} of\n{text}");
    for part in parts.split(" .. ") {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

const S1: &str = "type: sdpa_dense
    shapes: [{batch: 4, seq_len: 2048, n_heads: 32}]
    head_dim_range: [64, 160]";
const S2: &str = "type: sdpa_backend_forced
    shape: {batch: 4, seq_len: 2048, n_heads: 32}
    head_dims: [96, 107]
    backends: [AUTO, FLASH]";
const C21: &str = "type: sdpa_backend_selection
    shapes: [{batch: 4, seq_len: 2048, n_heads: 32},
      {batch: 1, seq_len: 4096, n_heads: 32, n_kv_heads: 8}]
    head_dims: [112, 107]";
const G3: &str = "type: gemm_k_dense
    dtypes: [fp16]
    shape: {M: 4096, N: 4096}
    K_range: [64, 160]";
const G4: &str = "type: gemm_n_dense
    dtypes: [fp16]
    M_values: [1024]
    K: 4096
    N_range: [64, 160]";
const G5: &str = "type: gemm_m_dense
    dtypes: [fp16]
    shape: {K: 4096, N: 4096}
    M_range: [1, 160]";
const P1: &str = "type: padding_rescue
    logical_head_dim: 107
    pad_options: [107, 112]
    sdpa_shape: {batch: 4, seq_len: 2048, n_heads: 32}
    gemm_shapes: [{M: 4096, N: 4096, K: 107}]";
const HET1: &str = "type: hetero_batching
    total_N: 4096
    H: 32
    patterns: {mild: {groups: [{dim: 128, count: 28}, {dim: 112, count: 4}]}}";
const L1: &str = "type: low_rank_pair
    dtypes: [fp16]
    in_features: 4096
    out_features: 14336
    M_values: [1, 16]
    rank_range: [505, 512]";
const M1: &str = "type: model_layers
    model: {name: small, n_layers: 2, hidden_size: 256, n_heads: 8, n_kv_heads: 4, head_dim: 32,
            intermediate_size: 704, vocab_size: 2000}
    ranks: {k_proj: [[29, 29], null], q_proj: [107, 111]}
    mlp_widths: [501, 704]
    decode: [16]";
const D1: &str = "type: sdpa_decode
    batch: 16
    n_heads: 32
    contexts: [4096, 1024]
    head_dims: [107, 112]";
