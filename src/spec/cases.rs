//! The cases that each type makes.

use super::{AttentionSize, Experiment, Kind, Padded};
use crate::workload::case::Case;
use crate::workload::operation::{Backend, Gemm, Operation, Sdpa};
use crate::workload::shape::DType;

impl Experiment {
    /// The cases of this entry, in its order.
    pub fn cases(&self) -> Vec<Case> {
        [s1, s2, g3, g4, p1, het1].into_iter().find_map(|cases| cases(self)).unwrap_or_default()
    }
}

/// A curve for each shape, a point for each head_dim, `S1/b4_s2048_h32_fp16/d107`, and for AUTO at one that is no
/// multiple of 8 the variant `kernel_only`, which a device without padding leaves out.
fn s1(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::SdpaDense(sweep) = &experiment.kind else { return None };
    let group = experiment.group();
    let mut cases = Vec::new();
    for &shape in &sweep.shapes {
        let series = format!("{}_{}", shape.id(), sweep.dtype.name());
        for head_dim in sweep.head_dims() {
            let attention = sweep.operation(shape, head_dim);
            let (point, whole) = (format!("d{head_dim}"), Operation::Sdpa(attention));
            let row = Case::row(&group, &series, &point, head_dim, sweep.dtype, whole)
                .on_curve(shape.legend())
                .masked(sweep.causal);
            cases.push(row.clone());
            if sweep.backend == Backend::Auto && !head_dim.is_multiple_of(8) {
                cases.push(row.variant("kernel_only", Operation::SdpaKernelOnly(attention)));
            }
        }
    }
    Some(cases)
}

/// A curve for each backend (C21: at each shape), a point for each head_dim: `S2/b4_s2048_h32_fp16_FLASH/d107`.
fn s2(experiment: &Experiment) -> Option<Vec<Case>> {
    let group = experiment.group();
    let row = |size: AttentionSize, dtype: DType, attention: Sdpa| {
        let (head_dim, backend) = (attention.shape.head_dim, attention.backend.name());
        let series = format!("{}_{}_{backend}", size.id(), dtype.name());
        let operation = Operation::Sdpa(attention);
        Case::row(&group, &series, &format!("d{head_dim}"), head_dim, dtype, operation)
            .label("head_dim", head_dim)
            .label("backend", backend)
            .masked(attention.causal)
    };
    let mut cases = Vec::new();
    match &experiment.kind {
        Kind::SdpaBackendForced(sweep) => {
            for head_dim in sweep.head_dims.iter().map(|dim| dim.get()) {
                for &backend in &sweep.backends {
                    let case = row(sweep.shape, sweep.dtype, sweep.operation(head_dim, backend));
                    cases.push(case.on_curve(backend.name()));
                }
            }
        }
        Kind::SdpaBackendSelection(sweep) => {
            for &shape in &sweep.shapes {
                for &backend in &sweep.backends {
                    for head_dim in sweep.head_dims() {
                        let attention = sweep.operation(shape, head_dim, backend);
                        let case = row(shape, sweep.dtype, attention);
                        cases.push(case.on_curve(match backend {
                            Backend::Auto => shape.legend(),
                            forced => format!("{}, {}", shape.legend(), forced.name()),
                        }));
                    }
                }
            }
        }
        _ => return None,
    }
    Some(cases)
}

/// A curve for each element type, a point for each K: `G3/M4096_N4096_fp16/K107`.
fn g3(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::GemmKDense(sweep) = &experiment.kind else { return None };
    let group = experiment.group();
    let mut cases = Vec::new();
    for &dtype in &sweep.dtypes {
        let series = format!("M{}_N{}_{}", sweep.shape.m, sweep.shape.n, dtype.name());
        for k in sweep.k_values() {
            let product = Operation::Gemm(Gemm::dense(sweep.shape(k)));
            let case = Case::row(&group, &series, &format!("K{k}"), k, dtype, product);
            cases.extend(sweep.gemm_algorithms.cases(case.on_curve(dtype.name())));
        }
    }
    Some(cases)
}

/// A curve for each M and element type, a point for each N: `G4/M1024_K4096_fp16/N107`.
fn g4(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::GemmNDense(sweep) = &experiment.kind else { return None };
    let group = experiment.group();
    let mut cases = Vec::new();
    for &dtype in &sweep.dtypes {
        for &m in &sweep.m_values {
            let series = format!("M{m}_K{}_{}", sweep.k, dtype.name());
            for n in sweep.n_values() {
                let product = Operation::Gemm(Gemm::dense(sweep.shape(m, n)));
                let case = Case::row(&group, &series, &format!("N{n}"), n, dtype, product);
                let row = case.on_curve(format!("M={m} {}", dtype.name()));
                cases.extend(sweep.gemm_algorithms.cases(row));
            }
        }
    }
    Some(cases)
}

/// A curve for the attention and for each product, a point for each padded size:
/// `P1/sdpa_b4_s2048_h32_fp16/d107_to_112`, `P1/gemm_reduction_M4096_N4096_fp16/K107_to_112`; each that is padded has
/// the variant `on_the_fly`.
fn p1(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::PaddingRescue(sweep) = &experiment.kind else { return None };
    let (group, dtype, logical) = (experiment.group(), sweep.dtype, sweep.logical_head_dim);
    let physicals = || sweep.pad_options.iter().map(|physical| physical.get());
    let labelled = |case: Case, physical: usize| {
        case.label("logical_dim", logical.get())
            .label("physical_dim", physical)
            .label("memory_overhead_pct", sweep.memory_overhead_pct(physical))
    };

    let mut cases = Vec::new();
    let mut add = |row: Case, on_the_fly: Operation| {
        let is_padded = row.dim != logical.get();
        let variant = is_padded.then(|| row.variant("on_the_fly", on_the_fly));
        cases.push(row);
        cases.extend(variant);
    };
    let series = format!("sdpa_{}_{}", sweep.sdpa_shape.id(), dtype.name());
    for physical in physicals() {
        let attention = sweep.sdpa(physical);
        let point = format!("d{logical}_to_{physical}");
        let case = Case::row(&group, &series, &point, physical, dtype, Operation::Sdpa(attention))
            .on_curve(format!("SDPA, {}", sweep.sdpa_shape.legend()))
            .label("operation", "SDPA")
            .masked(attention.causal);
        add(labelled(case, physical), Operation::SdpaOnTheFly(attention));
    }
    for (size, padded) in sweep.gemms() {
        let (name, other, kept) = match padded {
            Padded::Reduction => ("K", "N", size.n),
            Padded::Projection => ("N", "K", size.k),
        };
        let (m, shape_type) = (size.m, padded.shape_type());
        let series = format!("gemm_{shape_type}_M{m}_{other}{kept}_{}", dtype.name());
        for physical in physicals() {
            let product = sweep.gemm(size, padded, physical);
            let point = format!("{name}{logical}_to_{physical}");
            let case =
                Case::row(&group, &series, &point, physical, dtype, Operation::Gemm(product))
                    .on_curve(format!("GEMM, {name} padded, M={m} {other}={kept}"))
                    .label("operation", "GEMM")
                    .label("shape_type", shape_type);
            add(labelled(case, physical), Operation::GemmOnTheFly(product));
        }
    }
    Some(cases)
}

/// A point for each pattern, `HET1/T4096_H32_fp16/mild`, and for a pattern of several groups the variants
/// `part_128x28`, ..., `grouped`, `concurrent` and `padded`. A CPU has no grouped call and leaves that out.
fn het1(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::HeteroBatching(sweep) = &experiment.kind else { return None };
    let (group, dtype) = (experiment.group(), sweep.dtype);
    let series = format!("T{}_H{}_{}", sweep.total_n, sweep.heads, dtype.name());
    let curve = format!("M=K={}, {} heads, {}", sweep.total_n, sweep.heads, dtype.name());
    let mut cases = Vec::new();
    for (name, pattern) in &sweep.patterns {
        let parts: Vec<_> = pattern.groups.iter().map(|heads| sweep.gemm(heads.n())).collect();
        let operation = match parts[..] {
            [product] => Operation::Gemm(product),
            _ => Operation::GemmSequence(parts.clone()),
        };
        let row = Case::row(&group, &series, name, pattern.n(), dtype, operation)
            .on_curve(&curve)
            .label("pattern", name.as_str())
            .label("num_gemm_calls", parts.len());
        cases.push(row.clone());
        if parts.len() > 1 {
            for (heads, &part) in pattern.groups.iter().zip(&parts) {
                let variant = format!("part_{}x{}", heads.dim, heads.count);
                cases.push(row.variant(&variant, Operation::Gemm(part)));
            }
            cases.push(row.variant("grouped", Operation::GemmGrouped(parts.clone())));
            cases.push(row.variant("concurrent", Operation::GemmConcurrent(parts)));
            cases.push(row.variant("padded", Operation::Gemm(sweep.padded(pattern))));
        }
    }
    Some(cases)
}
