//! Whose implementation of an operation runs.

use serde::{Deserialize, Serialize};

/// Whose implementation of an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// The host's cores: the `gemm` crate, and attention made of its GEMMs.
    Cpu,
    /// cuBLAS: several GEMMs in one grouped call, which cuBLASLt does not have.
    Cublas,
    /// cuBLASLt: every other GEMM on a GPU.
    #[serde(rename = "cublaslt")]
    CublasLt,
    /// cuDNN's fused attention.
    Cudnn,
    /// Night Sweep's own kernels. NS_MATH and NS_MATH_FP16 leave their GEMMs to cuBLAS.
    NightSweep,
    /// PyTorch, the one that is installed.
    Pytorch,
}
