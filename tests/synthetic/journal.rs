//! The journal of a run, from its outcomes.

use super::lines::{secondary_of, timed, trial_of};
use super::{Outcome, SAMPLES, TRIALS};
use night_sweep::experiments::TYPES;
use night_sweep::journal::record::*;
use night_sweep::measure::record::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The lines of the journal of a run on a GPU that had these outcomes, header first.
pub fn journal(group: &str, outcomes: &[Outcome]) -> (Header, Vec<Line>) {
    journal_of(group, &format!("{group}_sweep"), "cuda:0", outcomes)
}

pub fn journal_of(
    group: &str,
    experiment: &str,
    device: &str,
    outcomes: &[Outcome],
) -> (Header, Vec<Line>) {
    let header = header_of(group, experiment, device, outcomes);
    (header, lines_of(outcomes, device == "cpu"))
}

fn header_of(group: &str, experiment: &str, device: &str, outcomes: &[Outcome]) -> Header {
    let is_cpu = device == "cpu";
    let kind = TYPES.iter().find(|kind| kind.group == group).map_or("synthetic", |kind| kind.name);
    Header {
        schema_version: SCHEMA_VERSION.to_owned(),
        run_id: format!("20260101_000000_{experiment}"),
        group: group.to_owned(),
        experiment: experiment.to_owned(),
        config: json!({"type": kind, "dtype": "fp16", "warmup": 50, "measure": 200, "trials": 3}),
        device: device.to_owned(),
        seed: 42,
        protocol: Protocol {
            kind: ProtocolKind::Standard,
            warmup: 50,
            measure: 200,
            trials: TRIALS,
        },
        shard: None,
        sweep: Vec::new(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        env: env_of(device),
        calibration: (!is_cpu).then(calibration),
        cases: outcomes.iter().map(|(case, _)| case.clone()).collect(),
    }
}

fn env_of(device: &str) -> Value {
    let gpu = json!({
        "name": "Synthetic GPU", "uuid": "GPU-0", "compute_capability": "9.0", "sm_count": 132,
        "l2_bytes": 1, "memory_bytes": 1, "power_limit_w": 700, "ecc": true, "mig": false,
        "driver_version": "0",
    });
    json!({
        "host": {
            "cpu": "Synthetic CPU", "cores": 2, "memory_bytes": 1, "os": "none", "kernel": "none",
        },
        "gpu": if device == "cpu" { json!(null) } else { gpu },
        "libraries": {
            "cuda_driver": "13.0", "cublas": "13.1", "cudnn": null, "nvrtc": null, "pytorch": null,
        },
        "library_paths": {"cublas": "/usr/local/cuda/lib64/libcublas.so.13"},
        "software": {
            "night_sweep": "0.1.0", "criterion": "0.8.2", "rustc": "1.88.0",
            "git_revision": null, "git_dirty": null,
        },
        "slurm": null,
        "settings": {"NIGHT_SWEEP_DEVICE": device},
    })
}

fn calibration() -> Calibration {
    Calibration {
        event_tick_ns: 32.0,
        empty_pair_ns: 2300.0,
        empty_launch_ns: Some(3500.0),
        graph_node_ns: Some(900.0),
        settled_sm_mhz: Some(1700),
        clock_settled: Some(true),
        peaks: Some(Peaks {
            fp16_tflops: 700.0,
            bf16_tflops: 720.0,
            tf32_tflops: None,
            fp32_tflops: None,
            fp8_e4m3_tflops: None,
            copy_gbs: 4100.0,
        }),
        cold_over_warm: Some(2.4),
        start: Some(Settled { sm_mhz: Some(1900.0), steady: true, wait_s: 0.5 }),
        wall_s: Some(1.5),
    }
}

fn lines_of(outcomes: &[Outcome], is_cpu: bool) -> Vec<Line> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut lines = Vec::new();
    for trial in 0..TRIALS {
        for (case, outcome) in outcomes {
            match outcome {
                Ok(ms) => {
                    let noisy = |_| ms * (1.0 + 0.03 * rng.random::<f64>().powi(3));
                    let samples_ms = (0..SAMPLES).map(noisy).collect();
                    lines.push(Line::Trial(Box::new(trial_of(case, trial, samples_ms, is_cpu))));
                }
                Err((error_kind, error)) if trial == 0 => lines.push(Line::Failure(Failure {
                    case_id: case.id.clone(),
                    trial,
                    error_kind: *error_kind,
                    error: (*error).to_owned(),
                })),
                Err(_) => {}
            }
        }
    }
    if !is_cpu {
        lines.extend(
            timed(outcomes).map(|(case, ms)| Line::Secondary(Box::new(secondary_of(case, ms)))),
        );
    }
    lines.push(Line::End(End { status: Status::Complete, wall_s: 12.5, criterion_s: None }));
    lines
}
