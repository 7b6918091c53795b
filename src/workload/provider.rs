//! Whose implementation of an operation runs, and whose was asked for.

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

/// Whose kernels run under names that are PyTorch's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderChoice {
    /// Attention: PyTorch's where there is one, else ours in their place. GEMMs: the library's.
    #[default]
    Auto,
    /// PyTorch's and no others.
    Pytorch,
    /// Ours, whether there is a PyTorch or not.
    NightSweep,
}

impl ProviderChoice {
    /// Whether nobody asked for one.
    pub fn is_auto(&self) -> bool {
        *self == ProviderChoice::Auto
    }

    /// What it adds to the series of a case: `_pytorch`; nothing if it is `auto`.
    pub fn suffix(self) -> &'static str {
        match self {
            ProviderChoice::Auto => "",
            ProviderChoice::Pytorch => "_pytorch",
            ProviderChoice::NightSweep => "_night-sweep",
        }
    }
}
