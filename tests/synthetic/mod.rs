//! Runs that never happened: times from a formula with seeded noise, in the form that a run leaves
//! on disk.

use night_sweep::device::clocks::*;
use night_sweep::device::kernel::*;
use night_sweep::experiments::TYPES;
use night_sweep::journal::record::*;
use night_sweep::journal::{Journal, Run};
use night_sweep::measure::record::*;
use night_sweep::ops::plan::*;
use night_sweep::workload::case::Case;
use night_sweep::workload::error::*;
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::provider::Provider;
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
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

pub fn without_times(mut outcomes: Vec<Outcome>, error: &'static str) -> Vec<Outcome> {
    outcomes.iter_mut().for_each(|(_, result)| *result = Err((ErrorKind::OutOfMemory, error)));
    outcomes
}

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
    let is_cpu = device == "cpu";
    let kind = TYPES.iter().find(|kind| kind.group == group).map_or("synthetic", |kind| kind.name);
    let gpu = json!({
        "name": "Synthetic GPU", "uuid": "GPU-0", "compute_capability": "9.0", "sm_count": 132,
        "l2_bytes": 1, "memory_bytes": 1, "power_limit_w": 700, "ecc": true, "mig": false,
        "driver_version": "0",
    });
    let env = json!({
        "host": {
            "cpu": "Synthetic CPU", "cores": 2, "memory_bytes": 1, "os": "none", "kernel": "none",
        },
        "gpu": if is_cpu { json!(null) } else { gpu },
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
    });
    let header = Header {
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
        env,
        calibration: (!is_cpu).then_some(Calibration {
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
        }),
        cases: outcomes.iter().map(|(case, _)| case.clone()).collect(),
    };
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
        let timed = outcomes.iter().filter(|(case, _)| case.variant.is_none());
        let timed = timed.filter_map(|(case, outcome)| Some((case, *outcome.as_ref().ok()?)));
        lines.extend(timed.map(|(case, ms)| Line::Secondary(Box::new(secondary_of(case, ms)))));
    }
    lines.push(Line::End(End { status: Status::Complete, wall_s: 12.5, criterion_s: None }));
    (header, lines)
}

/// An event and a launch on top, the host on top of that, and colder caches.
fn secondary_of(case: &Case, ms: f64) -> Secondary {
    let slower = |factor: f64, more_ms: f64| -> Vec<f64> {
        (0..20).map(|k| ms * factor * (1.0 + 1e-3 * f64::from(k % 5)) + more_ms).collect()
    };
    Secondary {
        case_id: case.id.clone(),
        isolated_ms: slower(1.0, 0.003),
        cold: Cold::Samples { buffer_sets: 14, samples_ms: slower(1.25, 0.0) },
        per_call_ms: slower(1.0, 0.012),
        enqueue_us: 4.5,
        wall_s: 0.05,
        spent: Spent::default(),
    }
}

/// The same run with the energy of each row: 700 W, and half of that where it is not aligned.
pub fn with_energy(outcomes: &[Outcome], mut lines: Vec<Line>) -> Vec<Line> {
    let timed = outcomes.iter().filter(|(case, _)| case.variant.is_none());
    let timed = timed.filter_map(|(case, outcome)| Some((case, *outcome.as_ref().ok()?)));
    let energy = timed.map(|(case, ms)| {
        let watts = if case.dim.is_multiple_of(8) { 700.0 } else { 350.0 };
        Line::Energy(Box::new(Energy {
            case_id: case.id.clone(),
            joules: 1.6 * watts,
            seconds: 1.6,
            launches: 1600.0 / ms,
            uncertainty_pct: 0.4,
            polled_watts: Some(0.97 * watts),
            wall_s: 2.3,
            spent: Spent { measuring_s: 2.25, gpu_s: 2.2, ..Spent::default() },
        }))
    });
    let end = lines.pop();
    lines.extend(energy.chain(end));
    lines
}

fn trial_of(case: &Case, trial: usize, samples_ms: Vec<f64>, is_cpu: bool) -> Trial {
    let alignment = if case.dim.is_multiple_of(8) { 8 } else { 1 };
    let kernel = Kernel {
        name: format!("synthetic_align{alignment}"),
        grid: [8, 4, 1],
        block: [128, 1, 1],
        smem_bytes: 49152,
        blocks_per_sm: Some(2),
        waves: Some(0.125),
        tail_efficiency: Some(0.125),
        alignment: Some(alignment),
    };
    let (backend, padded_to) = backend_of(case).unzip();
    let padded_to = padded_to.flatten();
    let resize = || Kernel { name: "resize".to_owned(), ..kernel.clone() };
    // Each of Q, K and V is filled and copied.
    let resizes = (0..if padded_to.is_some() { 6 } else { 0 }).map(|_| resize());
    Trial {
        case_id: case.id.clone(),
        trial,
        started_at: "2026-01-01T00:00:01Z".to_owned(),
        wall_s: 0.25,
        samples_ms,
        launches_per_sample: 5,
        warmup_launches: 50,
        ran: Ran {
            provider: match &case.operation {
                _ if is_cpu => Provider::Cpu,
                _ if case.operation.gemms().is_empty() => Provider::Pytorch,
                _ => Provider::CublasLt,
            },
            kernels: if is_cpu { vec![] } else { resizes.chain([kernel.clone()]).collect() },
            backend_selected: backend.map(|backend| backend.name().to_owned()),
            backend_reason: None,
            pytorch: None,
            stand_in: false,
            padded_to,
            verification: Verification { max_rel_error: 3e-4, tolerance: 2e-3, rows: 64 },
            algorithm: None,
        },
        spent: Spent {
            planning_s: 0.01,
            filling_s: 0.01,
            verifying_s: 0.02,
            measuring_s: 0.2,
            gpu_s: 0.15,
        },
        clocks: (!is_cpu).then(|| Clocks {
            sm_mhz: 1700,
            power_w: 640,
            temperature_c: 61,
            throttle: vec![],
            counted_sm_mhz: Some(1702.5),
        }),
    }
}

/// The backend that runs an attention, and what it pads to within the launch.
fn backend_of(case: &Case) -> Option<(Backend, Option<usize>)> {
    let Operation::Sdpa(sdpa) = &case.operation else { return None };
    let head_dim = sdpa.shape.head_dim;
    let backend = match sdpa.backend {
        Backend::Auto if head_dim.is_multiple_of(8) => Backend::Cudnn,
        Backend::Auto => Backend::Flash,
        named => named,
    };
    let pads = backend == Backend::Flash && !head_dim.is_multiple_of(8);
    Some((backend, pads.then(|| head_dim.next_multiple_of(8))))
}

/// The same run without PyTorch: ours under its names.
pub fn with_stand_ins(mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        let ran = &mut trial.ran;
        if let Some(name) = ran.backend_selected.as_mut().filter(|name| !name.starts_with("NS_")) {
            *name = format!("NS_{name}");
            ran.backend_reason = Some(format!("stand-in for it: {name}"));
            ran.stand_in = true;
            ran.provider = Provider::NightSweep;
        }
    }
    lines
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

pub fn s1() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (batch, seq_len, scale) in [(4, 2048, 1.0), (1, 4096, 1.1)] {
        for d in dims() {
            let ms = scale * (0.2 + d as f64 / 500.0) * alignment(d).sqrt();
            let sdpa = attention(batch, seq_len, d, Backend::Auto);
            let series = format!("B{batch}_S{seq_len}_H32");
            let case = row("S1", &series, "d", d, Operation::Sdpa(sdpa))
                .on_curve(format!("batch {batch}, seq_len {seq_len}"))
                .label("backend", "AUTO");
            let kernel = case.variant("kernel_only", Operation::SdpaKernelOnly(sdpa));
            let failed = batch == 1 && (99..103).contains(&d);
            let illegal = Err((ErrorKind::Cuda, "illegal address"));
            outcomes.push((case, if failed { illegal } else { Ok(ms) }));
            if batch == 4 && d % 8 != 0 {
                outcomes.push((kernel, Ok(0.75 * ms)));
            }
        }
    }
    outcomes
}

pub fn s2() -> Vec<Outcome> {
    s2_of(&[
        (Backend::Auto, 1.0),
        (Backend::Flash, 2.0),
        (Backend::MemEfficient, 3.6),
        (Backend::Math, 23.0),
        (Backend::Cudnn, 1.0),
    ])
}

/// With ours beside them, as in the spec.
pub fn s2_of_nine() -> Vec<Outcome> {
    s2_of(&[
        (Backend::Auto, 1.0),
        (Backend::Flash, 2.0),
        (Backend::NsFlash, 2.3),
        (Backend::MemEfficient, 3.6),
        (Backend::NsMemEfficient, 4.1),
        (Backend::Math, 23.0),
        (Backend::NsMath, 19.0),
        (Backend::Cudnn, 1.0),
        (Backend::NsCudnn, 0.95),
    ])
}

fn s2_of(backends: &[(Backend, f64)]) -> Vec<Outcome> {
    let outcome = |d: usize, backend: Backend, factor: f64| {
        let operation = Operation::Sdpa(attention(4, 2048, d, backend));
        let case = row("S2", backend.name(), "d", d, operation)
            .label("head_dim", d)
            .label("backend", backend.name());
        let ours = backend.stand_in().unwrap_or(backend);
        let needs_8 = matches!(ours, Backend::NsMemEfficient | Backend::NsCudnn);
        if !d.is_multiple_of(8) && needs_8 {
            return (case, Err((ErrorKind::Unsupported, "head_dim 107 is no multiple of 8")));
        }
        let factor = if d == 107 && backend == Backend::Auto { 2.3 } else { factor };
        (case, Ok(0.45 * factor * (0.7 + d as f64 / 400.0)))
    };
    let at = |d| backends.iter().map(move |&(backend, factor)| outcome(d, backend, factor));
    [96, 104, 107, 112, 120, 128].into_iter().flat_map(at).collect()
}

pub fn c21() -> Vec<Outcome> {
    let outcome = |batch, seq_len, d: usize| {
        let operation = Operation::Sdpa(attention(batch, seq_len, d, Backend::Auto));
        let case = row("C21", &format!("b{batch}_s{seq_len}_AUTO"), "d", d, operation)
            .on_curve(format!("batch {batch}, seq {seq_len}"))
            .label("head_dim", d)
            .label("backend", "AUTO");
        (case, Ok(0.45 * alignment(d)))
    };
    let of = |(batch, seq_len)| (104..=128).map(move |d| outcome(batch, seq_len, d));
    [(4, 2048), (1, 4096)].into_iter().flat_map(of).collect()
}

pub fn g3() -> Vec<Outcome> {
    let outcome = |dtype: DType, factor: f64, k: usize| {
        let operation = Operation::Gemm(gemm(4096, 4096, k));
        let case = Case::row("G3", dtype.name(), &format!("K{k}"), k, dtype, operation);
        (case, Ok(factor * 1.4e-4 * k as f64 * alignment(k)))
    };
    let of = |(dtype, factor)| dims().map(move |k| outcome(dtype, factor, k));
    [(DType::Fp16, 1.0), (DType::Bf16, 1.02)].into_iter().flat_map(of).collect()
}

pub fn g4() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (dtype, factor) in [(DType::Fp16, 1.0), (DType::Bf16, 1.03)] {
        for m in [1024, 4096, 16384] {
            for n in dims() {
                let ms = factor * (0.004 + 3e-6 * m as f64 * alignment(n).powf(0.8));
                let operation = Operation::Gemm(gemm(m, n, 4096));
                let series = format!("{}_M{m}", dtype.name());
                let case = Case::row("G4", &series, &format!("N{n}"), n, dtype, operation)
                    .on_curve(format!("{} M={m}", dtype.name()));
                outcomes.push((case, Ok(ms)));
            }
        }
    }
    outcomes
}

pub fn p1() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (series, curve, base) in [
        ("sdpa", "SDPA", 1.15),
        ("gemm_reduction", "GEMM reduction", 0.0439),
        ("gemm_projection", "GEMM projection", 0.0391),
    ] {
        for d in [107, 112, 128] {
            let sdpa = Sdpa { data_head_dim: 107, ..attention(4, 2048, d, Backend::Auto) };
            let padded = |shape, data| Operation::Gemm(Gemm { shape, ..Gemm::dense(data) });
            let shape = |n, k| GemmShape { m: 4096, n, k };
            let operation = match series {
                "sdpa" => Operation::Sdpa(sdpa),
                "gemm_reduction" => padded(shape(4096, d), shape(4096, 107)),
                _ => padded(shape(d, 4096), shape(107, 4096)),
            };
            let mut case = row("P1", series, "d", d, operation.clone())
                .on_curve(curve)
                .label("operation", if series == "sdpa" { "SDPA" } else { "GEMM" })
                .label("logical_dim", 107)
                .label("physical_dim", d)
                .label("memory_overhead_pct", (d as f64 - 107.0) / 1.07);
            case = match series.split_once('_') {
                Some((_, shape_type)) => case.label("shape_type", shape_type),
                None => case.label("backend", "AUTO"),
            };
            let kept = base * if d == 107 { 1.0 } else { 0.4 };
            let on_the_fly = case.variant("on_the_fly", operation);
            outcomes.push((case, Ok(kept)));
            if d != 107 {
                outcomes.push((on_the_fly, Ok(kept + 0.25 * base)));
            }
        }
    }
    outcomes
}

/// The patterns as head dimensions and how many heads have each.
const PATTERNS: [(&str, &[(usize, usize)]); 4] = [
    ("uniform", &[(128, 32)]),
    ("mild", &[(128, 28), (112, 4)]),
    ("medium", &[(128, 16), (112, 8), (96, 8)]),
    ("severe", &[(128, 8), (112, 8), (107, 8), (96, 8)]),
];

pub fn het1() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (pattern, groups) in PATTERNS {
        let parts: Vec<Gemm> =
            groups.iter().map(|(dim, count)| gemm(4096, dim * count, 4096)).collect();
        let ms = |part: &Gemm| 0.008 + part.data.flops() / 7e11;
        let operation = Operation::GemmSequence(parts.clone());
        let total: usize = groups.iter().map(|(dim, count)| dim * count).sum();
        let case = row("HET1", pattern, "N", total, operation.clone())
            .label("pattern", pattern)
            .label("num_gemm_calls", parts.len());
        let sum: f64 = parts.iter().map(ms).sum();
        let mut variants = Vec::new();
        if parts.len() > 1 {
            for (index, part) in parts.iter().enumerate() {
                let part_case = case.variant(&format!("part_{index}"), Operation::Gemm(*part));
                variants.push((part_case, Ok(ms(part) + 0.002)));
            }
            variants.push((case.variant("grouped", operation.clone()), Ok(0.93 * sum)));
            variants.push((case.variant("padded", operation.clone()), Ok(0.205)));
            let concurrent = if pattern == "severe" {
                Err((ErrorKind::Cuda, "graph branches are not available"))
            } else {
                Ok(0.97 * sum)
            };
            variants.push((case.variant("concurrent", operation), concurrent));
        }
        outcomes.push((case, Ok(sum)));
        outcomes.extend(variants);
    }
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
