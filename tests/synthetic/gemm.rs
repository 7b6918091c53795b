//! Sweeps of GEMMs, and P1, which pads attention as well.

use super::{Outcome, alignment, attention, dims, gemm, row};
use night_sweep::workload::case::Case;
use night_sweep::workload::error::*;
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape};

/// A point of a sweep of K in FP16.
pub fn g3_case(m: usize, n: usize, k: usize) -> Case {
    row("G3", "fp16", "K", k, Operation::Gemm(gemm(m, n, k)))
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
