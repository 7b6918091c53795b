//! The checks on the device: our own reference kernels over sampled rows, and every element
//! written.

use super::{
    POISON, SAMPLED_ROWS, Scores, judge, poison_of, sampled_rows, smallest_size, tolerance,
};
use crate::device::Cuda;
use crate::device::cuda::{DeviceArray, Elements, Tensor};
use crate::ops::{Verification, gemm::GemmProblem, sdpa::SdpaProblem};
use crate::workload::{CaseError, Precision};
use cudarc::driver::CudaSlice;

/// Fills an output with NaN, so that an element which is not written shows.
pub fn poison(cuda: &Cuda, output: &mut Tensor) -> Result<(), CaseError> {
    Ok(cuda.kernels().fill_bits(output, POISON)?)
}

/// [`poison`] of an array of any type.
pub fn poison_array(cuda: &Cuda, array: &mut DeviceArray) -> Result<(), CaseError> {
    let bits = poison_of(array.element());
    Ok(cuda.kernels().fill_array(array, bits)?)
}

/// Compares the result of a GEMM, or of its whole batch, with the reference.
pub fn gemm(cuda: &Cuda, problem: &GemmProblem<DeviceArray>) -> Result<Verification, CaseError> {
    let GemmProblem { gemm, dtype, a, b, c } = problem;
    let smallest = smallest_size(*dtype);
    let of = (*dtype, tolerance(*dtype, gemm.shape.k));
    compare(cuda, c, gemm.batch * gemm.shape.m, of, |rows, errors| {
        Ok(cuda.kernels().verify_gemm([a, b, c], rows, errors, gemm, smallest)?)
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
    let precision = Precision::from(*dtype);
    compare(cuda, o, tokens, (precision, tolerance(precision, 1)), |rows, errors| {
        let (scale, smallest) = (problem.scale(), smallest_size(precision));
        let (tensors, rounded) = ([q, k, v, o], scores == Scores::Rounded);
        let kernels = cuda.kernels();
        Ok(kernels.verify_sdpa(tensors, rows, errors, sdpa, scale, smallest, rounded, *dtype)?)
    })
}

/// Counts what was not written, then judges the largest error that `reference` finds in each row.
fn compare(
    cuda: &Cuda,
    output: &impl Elements,
    rows: usize,
    (precision, tolerance): (Precision, f64),
    reference: impl FnOnce(&CudaSlice<u32>, &mut CudaSlice<f32>) -> Result<(), CaseError>,
) -> Result<Verification, CaseError> {
    let mut nonfinite = cuda.zeros::<u32>(1)?;
    cuda.kernels().count_nonfinite(output, &mut nonfinite, precision.result())?;
    let rows = sampled_rows(rows, SAMPLED_ROWS);
    let on_device = cuda.upload(&rows.iter().map(|&row| row as u32).collect::<Vec<_>>())?;
    let mut errors = cuda.zeros::<f32>(rows.len())?;
    reference(&on_device, &mut errors)?;
    let nonfinite = cuda.download(&nonfinite)?[0];
    let errors = cuda.download(&errors)?;
    if nonfinite > 0 {
        return Err(CaseError::wrong_result(format!(
            "{nonfinite} of {} elements were not written, or are not finite",
            output.count()
        )));
    }
    judge(&rows, &errors, precision, tolerance)
}
