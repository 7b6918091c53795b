//! The checks on the device: our own reference kernels over sampled rows, and every element
//! written.

use super::{POISON, SAMPLED_ROWS, judge, sampled_rows, tolerance};
use crate::device::{Cuda, cuda::Tensor};
use crate::ops::{Verification, gemm::GemmProblem, sdpa::SdpaProblem};
use crate::workload::{CaseError, DType};
use cudarc::driver::CudaSlice;

/// Fills an output with NaN, so that an element which is not written shows.
pub fn poison(cuda: &Cuda, output: &mut Tensor) -> Result<(), CaseError> {
    Ok(cuda.kernels().fill_bits(output, POISON)?)
}

/// Compares the result of a GEMM, or of its whole batch, with the reference.
pub fn gemm(cuda: &Cuda, problem: &GemmProblem<Tensor>) -> Result<Verification, CaseError> {
    let GemmProblem { gemm, dtype, a, b, c } = problem;
    compare(cuda, c, gemm.batch * gemm.shape.m, *dtype, tolerance(*dtype), |rows, errors| {
        Ok(cuda.kernels().verify_gemm([a, b, c], rows, errors, gemm, *dtype)?)
    })
}

/// Compares the result of an attention with the reference; `factor` is of the tolerance.
pub fn sdpa(
    cuda: &Cuda,
    problem: &SdpaProblem<Tensor>,
    factor: f64,
) -> Result<Verification, CaseError> {
    let SdpaProblem { sdpa, dtype, q, k, v, o } = problem;
    let shape = sdpa.shape;
    let tokens = shape.batch * shape.n_heads * shape.seq_len;
    compare(cuda, o, tokens, *dtype, factor * tolerance(*dtype), |rows, errors| {
        let size = (shape.seq_len, shape.head_dim, shape.heads_per_kv_head());
        let (scale, causal) = (problem.scale(), sdpa.causal);
        let tensors = [q, k, v, o];
        Ok(cuda.kernels().verify_sdpa(tensors, rows, errors, size, scale, causal, *dtype)?)
    })
}

/// Counts what was not written, then judges the squared errors that `reference` adds up for each
/// row.
fn compare(
    cuda: &Cuda,
    output: &Tensor,
    rows: usize,
    dtype: DType,
    tolerance: f64,
    reference: impl FnOnce(&CudaSlice<u32>, &mut CudaSlice<f32>) -> Result<(), CaseError>,
) -> Result<Verification, CaseError> {
    let mut nonfinite = cuda.zeros::<u32>(1)?;
    cuda.kernels().count_nonfinite(output, &mut nonfinite, dtype)?;
    let rows: Vec<u32> =
        sampled_rows(rows, SAMPLED_ROWS).into_iter().map(|row| row as u32).collect();
    let on_device = cuda.upload(&rows)?;
    let mut errors = cuda.zeros::<f32>(2 * rows.len())?;
    reference(&on_device, &mut errors)?;
    let nonfinite = cuda.download(&nonfinite)?[0];
    let errors = cuda.download(&errors)?;
    if nonfinite > 0 {
        return Err(CaseError::wrong_result(format!(
            "{nonfinite} of {} elements were not written, or are not finite",
            output.len()
        )));
    }
    let relative = |pair: &[f32]| match pair {
        [difference, norm] if *norm > 0.0 => f64::from(difference / norm).sqrt(),
        [difference, ..] => f64::from(*difference).sqrt(),
        [] => 0.0,
    };
    // f64::max would drop a NaN, which must not pass.
    let worst = errors
        .chunks(2)
        .map(relative)
        .fold(0.0, |worst: f64, error| if error.is_nan() { f64::NAN } else { worst.max(error) });
    judge(tolerance, worst, rows.len(), dtype)
}
