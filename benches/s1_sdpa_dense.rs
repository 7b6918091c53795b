//! S1: how does attention latency depend on head_dim?
//!
//! Every head_dim of a range is timed with the same batch, sequence length and heads. A kernel compiled for a few
//! head_dims serves the others padded, so the curve is a staircase: where its steps are, and how high, is the result.

use night_sweep::case::{Case, Operation};
use night_sweep::spec::{Experiment, Kind};
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::suite::run("S1_sdpa_dense_sweep", cases)
}

/// A curve for each shape, a point for each head_dim: `S1/b4_s2048_h32_fp16/d107`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::SdpaDense(sweep) = &experiment.kind else { return None };
    let group = experiment.group();
    let mut cases = Vec::new();
    for &shape in &sweep.shapes {
        let series = format!("{}_{}", shape.id(), sweep.dtype.name());
        for head_dim in sweep.head_dims() {
            let attention = Operation::Sdpa(sweep.operation(shape, head_dim));
            let point = format!("d{head_dim}");
            let case = Case::row(&group, &series, &point, head_dim, sweep.dtype, attention);
            cases.push(case.on_curve(shape.legend()));
        }
    }
    Some(cases)
}
