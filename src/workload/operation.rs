//! What one launch computes, padding included.

use super::shape::{DType, GemmShape, SdpaShape};
use serde::{Deserialize, Serialize};

/// What one launch computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A GEMM.
    Gemm(Gemm),
    /// A GEMM by the fastest of all algorithms that the library offers, not the one it chooses.
    GemmBest(Gemm),
    /// GEMMs one after the other, counted as one launch.
    GemmSequence(Vec<Gemm>),
    /// The same in one call of the library.
    GemmGrouped(Vec<Gemm>),
    /// The same side by side.
    GemmConcurrent(Vec<Gemm>),
    /// A GEMM of tensors kept without padding: each launch pads the operands, and cuts the result.
    GemmOnTheFly(Gemm),
    /// Scaled dot-product attention, forward.
    Sdpa(Sdpa),
    /// Attention over tensors kept without padding: each launch pads Q, K and V, cuts the result.
    SdpaOnTheFly(Sdpa),
    /// The kernel of an attention alone: the tensors are kept as large as the backend pads them.
    SdpaKernelOnly(Sdpa),
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

/// A GEMM whose operands may be padded with zeros beyond `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// What the library is asked to multiply.
    pub shape: GemmShape,
    /// The part that holds data; no larger than `shape` in any dimension.
    pub data: GemmShape,
    /// Whose GEMM it is: the library's, or PyTorch's.
    #[serde(default, skip_serializing_if = "ProviderChoice::is_auto")]
    pub provider: ProviderChoice,
}

/// Attention `O = softmax(Q Kᵀ / sqrt(data_head_dim)) V`, whose heads may be padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sdpa {
    /// What the backend is asked to compute.
    pub shape: SdpaShape,
    /// The head_dim that holds data, and that the scale follows; at most `shape.head_dim`.
    pub data_head_dim: usize,
    /// Mask out keys after the query.
    pub causal: bool,
    /// Which backend has to run, or who chooses it.
    pub backend: Backend,
    /// Whose it is, where the name is a published one.
    #[serde(default, skip_serializing_if = "ProviderChoice::is_auto")]
    pub provider: ProviderChoice,
}

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
    pub const ALL: [Backend; 13] = [
        Backend::Auto,
        Backend::Flash,
        Backend::MemEfficient,
        Backend::Math,
        Backend::Cudnn,
        Backend::NsFlash,
        Backend::NsFlashUnpadded,
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

impl Gemm {
    /// Without padding.
    pub fn dense(shape: GemmShape) -> Self {
        Gemm { shape, data: shape, provider: ProviderChoice::Auto }
    }

    /// A, B and C.
    pub fn matrices(&self) -> [PaddedMatrix; 3] {
        let (shape, data) = (self.shape, self.data);
        [
            PaddedMatrix { size: [shape.m, shape.k], data: [data.m, data.k] },
            PaddedMatrix { size: [shape.k, shape.n], data: [data.k, data.n] },
            PaddedMatrix { size: [shape.m, shape.n], data: [data.m, data.n] },
        ]
    }

    /// Of its data alone.
    pub fn unpadded(self) -> Self {
        Gemm { shape: self.data, ..self }
    }
}

/// A matrix whose upper left corner holds data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaddedMatrix {
    /// Rows and columns, zeros included.
    pub size: [usize; 2],
    /// Rows and columns of data.
    pub data: [usize; 2],
}

impl PaddedMatrix {
    /// Whether there is anything beyond the data.
    pub fn is_padded(&self) -> bool {
        self.size != self.data
    }

    /// Bytes of the matrix and of its data: what a copy from one to the other moves.
    fn copy_bytes(&self) -> f64 {
        let bytes = |[rows, columns]: [usize; 2]| (rows * columns * DType::SIZE_BYTES) as f64;
        bytes(self.size) + bytes(self.data)
    }
}

impl Sdpa {
    /// Without padding or mask.
    pub fn dense(shape: SdpaShape, backend: Backend) -> Self {
        let data_head_dim = shape.head_dim;
        let provider = ProviderChoice::Auto;
        Sdpa { shape, data_head_dim, causal: false, backend, provider }
    }

    /// Over its data alone.
    pub fn unpadded(self) -> Self {
        self.padded_to(self.data_head_dim)
    }

    /// Over tensors of another head_dim, at least that of the data.
    pub fn padded_to(self, head_dim: usize) -> Self {
        Sdpa { shape: self.shape.with_head_dim(head_dim), ..self }
    }
}

impl Operation {
    /// Its GEMMs; none of an attention.
    pub fn gemms(&self) -> &[Gemm] {
        match self {
            Operation::Gemm(gemm) | Operation::GemmBest(gemm) | Operation::GemmOnTheFly(gemm) => {
                std::slice::from_ref(gemm)
            }
            Operation::GemmSequence(parts)
            | Operation::GemmGrouped(parts)
            | Operation::GemmConcurrent(parts) => parts,
            Operation::Sdpa(_) | Operation::SdpaOnTheFly(_) | Operation::SdpaKernelOnly(_) => &[],
        }
    }

    /// Its attention; none of GEMMs.
    pub fn sdpa(&self) -> Option<&Sdpa> {
        match self {
            Operation::Sdpa(sdpa)
            | Operation::SdpaOnTheFly(sdpa)
            | Operation::SdpaKernelOnly(sdpa) => Some(sdpa),
            _ => None,
        }
    }

    /// Whose kernels were asked for.
    pub fn provider(&self) -> ProviderChoice {
        let of_gemms = self.gemms().first().map(|gemm| gemm.provider);
        self.sdpa().map(|sdpa| sdpa.provider).or(of_gemms).unwrap_or_default()
    }

    /// Useful floating-point operations of one launch: padding does not count.
    pub fn flops(&self) -> f64 {
        match self {
            Operation::Sdpa(sdpa)
            | Operation::SdpaOnTheFly(sdpa)
            | Operation::SdpaKernelOnly(sdpa) => sdpa.unpadded().shape.flops(sdpa.causal),
            _ => self.gemms().iter().map(|gemm| gemm.data.flops()).sum(),
        }
    }

    /// Bytes that one launch must move at least, padding included; copies move both of their sides.
    pub fn bytes(&self) -> f64 {
        match self {
            Operation::GemmOnTheFly(gemm) => {
                let copies = gemm.matrices().into_iter().filter(|matrix| matrix.is_padded());
                gemm.shape.bytes() + copies.map(|matrix| matrix.copy_bytes()).sum::<f64>()
            }
            Operation::Sdpa(sdpa) | Operation::SdpaKernelOnly(sdpa) => sdpa.shape.bytes(),
            Operation::SdpaOnTheFly(sdpa) => {
                2.0 * sdpa.shape.bytes() + sdpa.unpadded().shape.bytes()
            }
            _ => self.gemms().iter().map(|gemm| gemm.shape.bytes()).sum(),
        }
    }
}
