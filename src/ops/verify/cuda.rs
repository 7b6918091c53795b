//! The checks on the device: our own reference kernels over sampled rows, and every element
//! written.

use super::{POISON, SAMPLED_ROWS, judge_within, sampled_rows, tolerance};
use crate::device::cuda::Tensor;
use crate::device::{Cuda, DeviceError};
use crate::ops::error::CaseError;
use crate::ops::gemm::GemmProblem;
use crate::ops::plan::Verification;
use crate::ops::sdpa::SdpaProblem;
use crate::workload::shape::DType;
use cudarc::driver::CudaSlice;

/// Fills an output with NaN, so that an element which is not written shows.
pub fn poison(cuda: &Cuda, output: &mut Tensor) -> Result<(), DeviceError> {
    cuda.kernels().fill_bits(cuda.stream(), output, POISON)
}

/// Compares the result of a GEMM with the reference.
pub fn gemm(cuda: &Cuda, problem: &GemmProblem<Tensor>) -> Result<Verification, CaseError> {
    let GemmProblem { gemm, dtype, a, b, c } = problem;
    compare(cuda, c, gemm.shape.m, *dtype, tolerance(*dtype), |rows, errors| {
        let (n, k) = (gemm.shape.n, gemm.shape.k);
        cuda.kernels().verify_gemm(cuda.stream(), [a, b, c], rows, errors, (n, k), *dtype)
    })
}

/// Compares the result of an attention with the reference.
pub fn sdpa(cuda: &Cuda, problem: &SdpaProblem<Tensor>) -> Result<Verification, CaseError> {
    sdpa_within(tolerance(problem.dtype), cuda, problem)
}

/// The same for an attention that rounds scaled operands, scores and weights to 16 bits on the way:
/// three times the tolerance. Right results in bf16 are off by up to 3.3 % of a row at head_dim 8
/// (simulated on 80 x 64 rows).
pub fn sdpa_with_16bit_scores(
    cuda: &Cuda,
    problem: &SdpaProblem<Tensor>,
) -> Result<Verification, CaseError> {
    sdpa_within(3.0 * tolerance(problem.dtype), cuda, problem)
}

fn sdpa_within(
    tolerance: f64,
    cuda: &Cuda,
    problem: &SdpaProblem<Tensor>,
) -> Result<Verification, CaseError> {
    let SdpaProblem { sdpa, dtype, q, k, v, o } = problem;
    let shape = sdpa.shape;
    let tokens = shape.batch * shape.n_heads * shape.seq_len;
    compare(cuda, o, tokens, *dtype, tolerance, |rows, errors| {
        let size = (shape.seq_len, shape.head_dim, shape.heads_per_kv_head());
        let (scale, causal) = (problem.scale(), sdpa.causal);
        cuda.kernels().verify_sdpa(
            cuda.stream(),
            [q, k, v, o],
            rows,
            errors,
            size,
            scale,
            causal,
            *dtype,
        )
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
    reference: impl FnOnce(&CudaSlice<u32>, &mut CudaSlice<f32>) -> Result<(), DeviceError>,
) -> Result<Verification, CaseError> {
    let mut nonfinite = cuda.zeros::<u32>(1)?;
    cuda.kernels().count_nonfinite(cuda.stream(), output, &mut nonfinite, dtype)?;
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
    judge_within(tolerance, worst, rows.len(), dtype)
}
