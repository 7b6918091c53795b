//! P1: what does padding an awkward dimension to an aligned one buy back, and what does it cost in memory?
//!
//! An attention and two products are timed at their logical dimension and at larger ones, zeros beyond the data.
//! The tensors are kept padded, so no copy is timed. Beside that stands the same with tensors that are not, where each
//! launch pads the operands and cuts the result. Throughput counts the useful work alone.

use night_sweep::spec::{Experiment, Kind, Padded};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::Operation;
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("P1_padding_rescue", cases)
}

/// A curve for the attention and for each product, a point for each padded size:
/// `P1/sdpa_b4_s2048_h32_fp16/d107_to_112`, `P1/gemm_reduction_M4096_N4096_fp16/K107_to_112`; each that is padded has
/// the variant `on_the_fly`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
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
