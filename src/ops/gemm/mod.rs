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

use crate::workload::{DType, Gemm, philox};

/// A GEMM and its matrices, or those of its batch one after the other, row-major: bits on the host
/// (`B = Vec<u16>`), or buffers of a device.
#[derive(Clone, Debug)]
pub struct GemmProblem<B> {
    /// The shape, and the part of it that holds data.
    pub gemm: Gemm,
    /// Element type of all three.
    pub dtype: DType,
    /// `[m, k]`, or as its layout has it: tensor 0 of [`philox::fill`].
    pub a: B,
    /// `[k, n]`, or as its layout has it: tensor 1.
    pub b: B,
    /// `[m, n]`: the result.
    pub c: B,
}

impl GemmProblem<Vec<u16>> {
    /// Seeded normal operands in host memory, and a result of zeros.
    pub fn on_host(gemm: Gemm, dtype: DType, seed: u64) -> Self {
        let matrices = gemm.matrices();
        let [mut a, mut b, c] = matrices.map(|matrix| vec![0; matrix.size[0] * matrix.size[1]]);
        philox::fill(&mut a, dtype, seed, 0, matrices[0].size, matrices[0].data);
        philox::fill(&mut b, dtype, seed, 1, matrices[1].size, matrices[1].data);
        GemmProblem { gemm, dtype, a, b, c }
    }
}
