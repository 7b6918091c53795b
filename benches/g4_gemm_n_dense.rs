//! G4: how does a product's speed depend on N, the width of its result?
//!
//! The product is a projection: M tokens from K features to the N of a head. N is the row length of B and of the
//! result, so an odd N leaves the rows of both unaligned; small M shows where tiles, not arithmetic, set the time.

use night_sweep::spec::{Experiment, Kind};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("G4_gemm_n_dense_projectionlike", cases)
}

/// A curve for each M and element type, a point for each N: `G4/M1024_K4096_fp16/N107`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
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
