//! Runs that never happened: times from a formula with seeded noise, in the form that a run leaves
//! on disk.

#![allow(unused_imports)] // no target uses all that this hands on

mod attention;
mod gemm;
mod journal;
mod lines;

pub use attention::{c21, s1, s2, s2_of_nine};
pub use gemm::{g3, g3_case, g4, het1, p1};
pub use journal::{journal, journal_of};
pub use lines::{with_energy, with_stand_ins};

use night_sweep::experiments;
use night_sweep::journal::record::{Header, Line};
use night_sweep::journal::{Journal, Run};
use night_sweep::results::raw::Raw;
use night_sweep::results::summary::Summary;
use night_sweep::results::{build, summarise};
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

pub const TRIALS: usize = 3;
pub const SAMPLES: usize = 20;

/// A case and its made-up time in ms, or why it has none.
pub type Outcome = (Case, Result<f64, (ErrorKind, &'static str)>);

/// Writes the journal of a run below `dir`, and returns where it is.
pub fn write(dir: &Path, header: Header, lines: &[Line]) -> PathBuf {
    let mut journal = Journal::create(dir, header).unwrap();
    lines.iter().for_each(|line| journal.append(line).unwrap());
    journal.path().to_owned()
}

/// The run that such a journal tells of.
pub fn run(header: Header, lines: &[Line]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    night_sweep::journal::read(&write(dir.path(), header, lines)).unwrap()
}

/// What a report of a run writes, without drawing its plots, which takes most of its time.
pub fn results(run: &Run) -> (Raw, Summary) {
    let (raw, warnings) = build::raw(run, Path::new("/nonexistent")).unwrap();
    let summary = summarise::of(&raw, run, experiments::view(&raw.config), warnings);
    (raw, summary)
}

/// Makes a run folder of only what other commands read of it.
pub fn write_results(folder: &Path, raw: &Raw, env: &Value) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("raw.json"), serde_json::to_vec(raw).unwrap()).unwrap();
    fs::write(folder.join("env.json"), serde_json::to_vec(env).unwrap()).unwrap();
}

pub fn without_times(mut outcomes: Vec<Outcome>, error: &'static str) -> Vec<Outcome> {
    outcomes.iter_mut().for_each(|(_, result)| *result = Err((ErrorKind::OutOfMemory, error)));
    outcomes
}

pub fn all() -> [(&'static str, Vec<Outcome>, &'static [&'static str]); 7] {
    [
        ("S1", s1(), &["s1_latency_vs_head_dim"]),
        ("S2", s2(), &["s2_backend_latency"]),
        ("G3", g3(), &["g3_latency_vs_K", "g3_tflops_vs_K"]),
        ("G4", g4(), &["g4_latency_vs_N"]),
        ("P1", p1(), &["p1_padding_rescue"]),
        ("HET1", het1(), &["het1_hetero_batching"]),
        ("C21", c21(), &["c21_backend_selection"]),
    ]
}

/// The files that Criterion writes of a case whose mean is so many nanoseconds, by name.
pub fn criterion_files(id: &str, mean_ns: f64) -> [(&'static str, String); 3] {
    let estimate = |value: f64| {
        json!({
            "confidence_interval": {
                "confidence_level": 0.95, "lower_bound": value, "upper_bound": 2.0 * value,
            },
            "point_estimate": value,
            "standard_error": 1.0,
        })
    };
    let mean = estimate(mean_ns);
    let estimates = json!({
        "mean": mean, "median": mean, "median_abs_dev": mean, "slope": null,
        "std_dev": estimate(1e3),
    });
    let sample = json!({
        "sampling_mode": "Flat", "iters": [2.0, 2.0], "times": [mean_ns, 3.0 * mean_ns],
    });
    [
        ("benchmark.json", json!({"group_id": "G3", "full_id": id}).to_string()),
        ("estimates.json", estimates.to_string()),
        ("sample.json", sample.to_string()),
    ]
}

/// What misalignment costs in these runs.
fn alignment(dim: usize) -> f64 {
    match dim {
        _ if dim.is_multiple_of(8) => 1.0,
        _ if dim.is_multiple_of(4) => 1.25,
        _ if dim.is_multiple_of(2) => 1.6,
        _ => 2.7,
    }
}

fn dims() -> impl Iterator<Item = usize> {
    (64..=128).chain((130..=160).step_by(2))
}

fn attention(batch: usize, seq_len: usize, head_dim: usize, backend: Backend) -> Sdpa {
    let shape = SdpaShape { batch, seq_len, kv_len: None, n_heads: 32, n_kv_heads: None, head_dim };
    Sdpa::dense(shape, backend)
}

/// A row in FP16 whose point is `prefix` and its dimension.
fn row(group: &str, series: &str, prefix: &str, dim: usize, operation: Operation) -> Case {
    Case::row(group, series, &format!("{prefix}{dim}"), dim, DType::Fp16, operation)
}

fn gemm(m: usize, n: usize, k: usize) -> Gemm {
    Gemm::dense(GemmShape { m, n, k })
}
