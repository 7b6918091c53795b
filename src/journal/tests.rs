//! What the journal keeps and refuses, with headers, trials and energies for other tests as well.

use super::*;
use crate::journal::record::{End, Failure, Header, Line, SCHEMA_VERSION, Start, Status};
use crate::measure::record::{Energy, Protocol, ProtocolKind, Ran, Spent, Trial};
use crate::ops::plan::Verification;
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use crate::workload::operation::{Gemm, Operation};
use crate::workload::provider::Provider;
use crate::workload::shape::{DType, GemmShape};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

mod broken;
mod kept;
mod refused;

pub(crate) fn header() -> Header {
    let gemm = |k| Operation::Gemm(Gemm::dense(GemmShape { m: 64, n: 64, k }));
    Header {
        schema_version: SCHEMA_VERSION.to_owned(),
        run_id: "20260101_000000_G3".to_owned(),
        group: "G3".to_owned(),
        experiment: "G3_gemm_k_dense".to_owned(),
        config: json!({"type": "gemm_k_dense"}),
        device: "cpu".to_owned(),
        seed: 42,
        protocol: Protocol { kind: ProtocolKind::Standard, warmup: 1, measure: 2, trials: 2 },
        shard: None,
        sweep: Vec::new(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        env: json!({"host": {"cpu": "Zählwerk"}}),
        calibration: None,
        cases: vec![
            Case::row("G3", "fp16", "K1", 1, DType::Fp16, gemm(1)),
            Case::row("G3", "fp16", "K2", 2, DType::Fp16, gemm(2)),
        ],
    }
}

pub(crate) fn trial_of(case_id: &str, trial: usize, samples_ms: Vec<f64>) -> Trial {
    Trial {
        case_id: case_id.to_owned(),
        trial,
        started_at: "2026-01-01T00:00:01Z".to_owned(),
        wall_s: 0.5,
        samples_ms,
        launches_per_sample: 1,
        warmup_launches: 1,
        ran: Ran {
            provider: Provider::Cpu,
            kernels: vec![],
            backend_selected: None,
            backend_reason: None,
            pytorch: None,
            stand_in: false,
            padded_to: None,
            verification: Verification { max_rel_error: 1e-4, tolerance: 1e-2, rows: 8 },
            algorithm: None,
        },
        clocks: None,
        spent: Spent::default(),
    }
}

pub(crate) fn energy(case_id: &str) -> Energy {
    Energy {
        case_id: case_id.to_owned(),
        joules: 1068.0,
        seconds: 1.5,
        launches: 7168.25,
        uncertainty_pct: 0.2,
        polled_watts: Some(690.5),
        wall_s: 2.2,
        spent: Spent::default(),
    }
}

fn trial_line(case_id: &str, trial: usize, samples_ms: &[f64]) -> Line {
    Line::Trial(Box::new(trial_of(case_id, trial, samples_ms.to_vec())))
}

fn energy_line(case_id: &str) -> Line {
    Line::Energy(Box::new(energy(case_id)))
}

fn failure() -> Failure {
    Failure {
        case_id: "G3/fp16/K2".to_owned(),
        trial: 0,
        error_kind: ErrorKind::OutOfMemory,
        error: "größer als der Speicher".to_owned(),
    }
}

pub(super) fn lines() -> Vec<Line> {
    vec![
        trial_line("G3/fp16/K1", 0, &[0.1, 0.2]),
        Line::Failure(failure()),
        trial_line("G3/fp16/K1", 1, &[0.3]),
        Line::End(End { status: Status::Complete, wall_s: 2.0, criterion_s: None }),
    ]
}

pub(super) fn written(dir: &Path, lines: &[Line]) -> PathBuf {
    let mut journal = Journal::create(dir, header()).unwrap();
    lines.iter().for_each(|line| journal.append(line).unwrap());
    journal.path().to_owned()
}

fn error_of(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, text).unwrap();
    format!("{:#}", read(&path).unwrap_err())
}

fn header_line() -> String {
    as_text(&[Line::Header(Box::new(header()))])
}

fn as_text(lines: &[Line]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
}
