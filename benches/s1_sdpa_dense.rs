//! S1: how does attention latency depend on head_dim?
//!
//! Every head_dim of a range is timed with the same batch, sequence length and heads. A kernel compiled for a few
//! head_dims serves the others padded, so the curve is a staircase: where its steps are, and how high, is the result.
//! Where AUTO pads the tensors to a multiple of 8 within the launch, the kernel alone stands beside the whole.

use night_sweep::spec::{Experiment, Kind};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Backend, Operation};
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("S1_sdpa_dense_sweep", cases)
}

/// A curve for each shape, a point for each head_dim, `S1/b4_s2048_h32_fp16/d107`, and for AUTO at one that is no
/// multiple of 8 the variant `kernel_only`, which a device without padding leaves out.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
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
