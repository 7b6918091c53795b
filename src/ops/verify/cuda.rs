//! The checks on the device: our own reference kernels over sampled rows, and every element
//! written.

use super::{POISON, SAMPLED_ROWS, Scores, judge, sampled_rows, smallest_size};
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
    let smallest = smallest_size(*dtype);
    compare(cuda, c, gemm.batch * gemm.shape.m, *dtype, |rows, errors| {
        Ok(cuda.kernels().verify_gemm([a, b, c], rows, errors, gemm, smallest, *dtype)?)
    })
}

/// Compares the result of an attention with the reference.
pub fn sdpa(
    cuda: &Cuda,
    problem: &SdpaProblem<Tensor>,
    scores: Scores,
) -> Result<Verification, CaseError> {
    let SdpaProblem { sdpa, dtype, q, k, v, o } = problem;
    let shape = sdpa.shape;
    let tokens = shape.batch * shape.n_heads * shape.seq_len;
    compare(cuda, o, tokens, *dtype, |rows, errors| {
        let (scale, smallest) = (problem.scale(), smallest_size(*dtype));
        let (tensors, rounded) = ([q, k, v, o], scores == Scores::Rounded);
        let kernels = cuda.kernels();
        Ok(kernels.verify_sdpa(tensors, rows, errors, sdpa, scale, smallest, rounded, *dtype)?)
    })
}

/// Counts what was not written, then judges the largest error that `reference` finds in each row.
fn compare(
    cuda: &Cuda,
    output: &Tensor,
    rows: usize,
    dtype: DType,
    reference: impl FnOnce(&CudaSlice<u32>, &mut CudaSlice<f32>) -> Result<(), CaseError>,
) -> Result<Verification, CaseError> {
    let mut nonfinite = cuda.zeros::<u32>(1)?;
    cuda.kernels().count_nonfinite(output, &mut nonfinite, dtype)?;
    let rows = sampled_rows(rows, SAMPLED_ROWS);
    let on_device = cuda.upload(&rows.iter().map(|&row| row as u32).collect::<Vec<_>>())?;
    let mut errors = cuda.zeros::<f32>(rows.len())?;
    reference(&on_device, &mut errors)?;
    let nonfinite = cuda.download(&nonfinite)?[0];
    let errors = cuda.download(&errors)?;
    if nonfinite > 0 {
        return Err(CaseError::wrong_result(format!(
            "{nonfinite} of {} elements were not written, or are not finite",
            output.len()
        )));
    }
    judge(&rows, &errors, dtype)
}
