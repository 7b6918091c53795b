//! G3: how does a product's speed depend on K, the dimension summed over?
//!
//! In `C[M,N] = A[M,K] · B[K,N]` M and N are kept. K is the row length of A, so an odd K leaves its rows unaligned;
//! and tensor cores take K in steps, so the last one may be half empty.

use night_sweep::spec::{Experiment, Kind};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("G3_gemm_k_dense", cases)
}

/// A curve for each element type, a point for each K: `G3/M4096_N4096_fp16/K107`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
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
