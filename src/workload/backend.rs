//! The names of attention backends.

use serde::{Deserialize, Serialize};

/// An attention backend by the name a spec asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Backend {
    /// PyTorch's choice among its backends: the names of the published suite are PyTorch's.
    Auto,
    /// PyTorch's FlashAttention-2; pads a head_dim to the next multiple of 8, in the launch.
    Flash,
    /// PyTorch's memory-efficient attention, made of CUTLASS.
    MemEfficient,
    /// PyTorch's GEMMs and softmax apart.
    Math,
    /// PyTorch's call of cuDNN's fused attention.
    Cudnn,
    /// FlashAttention-2, by a kernel of ours; pads as FLASH does.
    NsFlash,
    /// As NS_FLASH, by a kernel that reads unaligned rows itself.
    NsFlashUnpadded,
    /// FlashDecoding: one query on a KV cache, the keys shared out among the blocks.
    NsFlashDecode,
    /// Memory-efficient attention tiled as CUTLASS does, by a kernel of ours.
    NsMemEfficient,
    /// GEMMs and softmax apart, in float32 as PyTorch does by default.
    NsMath,
    /// As NS_MATH, with 16-bit GEMMs and scores.
    NsMathFp16,
    /// cuDNN's fused attention, called by us.
    NsCudnn,
    /// The fastest of all of ours that support the shape, padded or not, in a short timing.
    NsFastest,
    /// Blocked online softmax on the host's cores.
    CpuBlocked,
}

impl Backend {
    /// Every name a spec may use.
    pub const ALL: [Backend; 14] = [
        Backend::Auto,
        Backend::Flash,
        Backend::MemEfficient,
        Backend::Math,
        Backend::Cudnn,
        Backend::NsFlash,
        Backend::NsFlashUnpadded,
        Backend::NsFlashDecode,
        Backend::NsMemEfficient,
        Backend::NsMath,
        Backend::NsMathFp16,
        Backend::NsCudnn,
        Backend::NsFastest,
        Backend::CpuBlocked,
    ];

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Auto => "AUTO",
            Backend::Flash => "FLASH",
            Backend::MemEfficient => "MEM_EFFICIENT",
            Backend::Math => "MATH",
            Backend::Cudnn => "CUDNN",
            Backend::NsFlash => "NS_FLASH",
            Backend::NsFlashUnpadded => "NS_FLASH_UNPADDED",
            Backend::NsFlashDecode => "NS_FLASH_DECODE",
            Backend::NsMemEfficient => "NS_MEM_EFFICIENT",
            Backend::NsMath => "NS_MATH",
            Backend::NsMathFp16 => "NS_MATH_FP16",
            Backend::NsCudnn => "NS_CUDNN",
            Backend::NsFastest => "NS_FASTEST",
            Backend::CpuBlocked => "CPU_BLOCKED",
        }
    }

    /// Which of ours runs under a published name where there is no PyTorch; none of AUTO, which
    /// chooses, and of our own names.
    pub fn stand_in(self) -> Option<Backend> {
        match self {
            Backend::Flash => Some(Backend::NsFlash),
            Backend::MemEfficient => Some(Backend::NsMemEfficient),
            Backend::Math => Some(Backend::NsMath),
            Backend::Cudnn => Some(Backend::NsCudnn),
            _ => None,
        }
    }

    /// Whether the name is one of the published suite's: PyTorch's kernels, or stand-ins for them.
    pub fn is_published(self) -> bool {
        use Backend::{Auto, Cudnn, Flash, Math, MemEfficient};
        matches!(self, Auto | Flash | MemEfficient | Math | Cudnn)
    }
}
