//! Matrix multiplications.

mod cpu;
mod cublaslt;
mod low_rank;
mod on_the_fly;
mod pytorch;
mod pytorch_low_rank;
mod together;

pub use cpu::CpuGemm;
pub use cublaslt::CublasLtGemm;
pub use low_rank::LowRank;
pub use on_the_fly::{CpuGemmOnTheFly, CudaGemmOnTheFly};
pub use pytorch::{by_pytorch, by_pytorch_on_the_fly};
pub use pytorch_low_rank::low_rank_by_pytorch;
pub use together::{CpuConcurrent, CublasGrouped, CudaConcurrent};

use crate::workload::{Gemm, HostArray, Precision};

/// A GEMM and its matrices, or those of its batch one after the other, row-major: arrays of the
/// host or of a device.
#[derive(Clone, Debug)]
pub struct GemmProblem<B> {
    /// The shape, and the part of it that holds data.
    pub gemm: Gemm,
    /// Element types of all three.
    pub dtype: Precision,
    /// `[m, k]`, or as its layout has it: tensor 0 of `philox::fill`.
    pub a: B,
    /// `[k, n]`, or as its layout has it: tensor 1.
    pub b: B,
    /// `[m, n]`: the result.
    pub c: B,
}

impl GemmProblem<HostArray> {
    /// Seeded normal operands in host memory, and a result of zeros.
    pub fn on_host(gemm: Gemm, dtype: impl Into<Precision>, seed: u64) -> Self {
        let (dtype, [a, b, c]) = (dtype.into(), gemm.matrices());
        GemmProblem {
            gemm,
            dtype,
            a: HostArray::normal(dtype.operand(), (seed, 0), a.size, a.data),
            b: HostArray::normal(dtype.operand(), (seed, 1), b.size, b.data),
            c: HostArray::zeros(dtype.result(), c.size[0] * c.size[1]),
        }
    }
}
