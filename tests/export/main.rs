//! Exports of runs that never happened, read as others read them.

#![allow(clippy::unwrap_used)]

mod attention;
mod gemm;
mod latency;
mod refused;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod table;
mod whole;

use night_sweep::results::raw::{Raw, Row};
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::matrix::GemmLayout;
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use support::{assert_matches_schema, night_sweep};
use synthetic::{Outcome, journal};
use tempfile::TempDir;

const JSON: [&str; 4] = ["sdpa-table", "padding-plan", "contract", "latency-table"];

/// Runs by name, in folders of their own.
struct Runs(TempDir);

impl Runs {
    fn new() -> Runs {
        Runs(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the two files that an export reads, of a run on a GPU with PyTorch.
    fn add(&self, group: &str, outcomes: &[Outcome], edit: impl Fn(&mut Raw)) -> Raw {
        let (header, lines) = journal(group, outcomes);
        let run = synthetic::run(header, &lines);
        let (mut raw, _) = synthetic::results(&run);
        edit(&mut raw);
        let mut env = run.env();
        env["libraries"]["pytorch"] = json!("2.11.0");
        self.write(group, &raw, &env);
        raw
    }

    fn write(&self, name: &str, raw: &Raw, env: &Value) {
        synthetic::write_results(&self.path(name), raw, env);
    }

    fn export(&self, names: &[&str], arguments: &[&str]) -> support::Ran {
        let folders: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let folders: Vec<&str> = folders.iter().map(|folder| folder.to_str().unwrap()).collect();
        night_sweep(&[&["export"], &folders[..], arguments].concat())
    }

    /// What a consumer of JSON loads, checked against its schema.
    fn json(&self, names: &[&str], format: &str) -> Value {
        let out = self.path(&format!("{format}.json"));
        let arguments = ["--format", format, "--out", out.to_str().unwrap()];
        self.export(names, &arguments).succeeded();
        assert_matches_schema(&out, format);
        support::json(&out)
    }

    fn csv(&self, names: &[&str]) -> Vec<HashMap<String, String>> {
        let ran = self.export(names, &["--format", "csv"]).succeeded();
        let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }
}

fn point(raw: &mut Raw, case_id: &str, p50_ms: f64, ci95_p50: [f64; 2]) {
    let row = raw.measurements.iter_mut().find(|row| row.point().case_id == case_id);
    let Some(Row::Measured(row)) = row else { panic!("{case_id} has no time") };
    (row.timing.p50, row.ci95_p50) = (p50_ms, Some(ci95_p50));
}

fn attention(seq_len: usize, kv_len: Option<usize>, head_dim: usize, backend: Backend) -> Sdpa {
    let shape = SdpaShape { batch: 4, seq_len, kv_len, n_heads: 32, n_kv_heads: Some(8), head_dim };
    Sdpa::dense(shape, backend)
}

fn linear(m: usize, n: usize, k: usize) -> Gemm {
    Gemm { layout: GemmLayout::Nt, ..Gemm::dense(GemmShape { m, n, k }) }
}

fn d1() -> Vec<Outcome> {
    let outcome = |d: usize| {
        let sdpa = attention(1, Some(4096), d, Backend::Auto);
        let point = format!("d{d}");
        let case = Case::row("D1", "c4096", &point, d, DType::Bf16, Operation::Sdpa(sdpa))
            .label("backend", "AUTO")
            .label("context", 4096);
        let padded = Operation::Sdpa(sdpa.padded_to(d.next_multiple_of(8)));
        let variant = case.variant("padded_cache", padded);
        vec![(case, Ok(0.1)), (variant, Err((ErrorKind::OutOfMemory, "no room")))]
    };
    [107, 112].into_iter().flat_map(outcome).collect()
}

fn l1() -> Vec<Outcome> {
    let outcome = |rank: usize| {
        let pair = Operation::LowRank([linear(16, rank, 4096), linear(16, 1024, rank)]);
        let case = Case::row("L1", "M16", &format!("r{rank}"), rank, DType::Fp16, pair);
        let dense = case.variant("dense", Operation::Gemm(linear(16, 1024, 4096)));
        [(case, Ok(if rank == 107 { 0.02 } else { 0.01 })), (dense, Ok(0.03))]
    };
    [107, 112].into_iter().flat_map(outcome).collect()
}

/// A linear layer, an attention of a prompt, and a whole layer of both.
fn m1() -> Vec<Outcome> {
    let (gemm, mut sdpa) = (linear(512, 107, 4096), attention(512, None, 128, Backend::Auto));
    sdpa.causal = true;
    let parts = [Operation::Gemm(gemm), Operation::Sdpa(sdpa)];
    let cold = parts.clone().map(|part| Operation::Cold(Box::new(part)));
    let layer = Operation::Layer(parts.to_vec());
    let [linear, attention] = cold;
    let row = |series, dim, operation| Case::row("M1", series, "x", dim, DType::Bf16, operation);
    let attention = row("attention", 128, attention).label("backend", "AUTO").masked(true);
    vec![
        (row("linear", 107, linear), Ok(0.5)),
        (attention, Ok(0.25)),
        (row("layer", 512, layer), Ok(0.8)),
    ]
}
