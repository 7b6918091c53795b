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

/// A GEMM whose operands may be padded with zeros beyond `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// What the library is asked to multiply.
    pub shape: GemmShape,
    /// The part that holds data; no larger than `shape` in any dimension.
    pub data: GemmShape,
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
    /// Which backend has to run, or `Auto`.
    pub backend: Backend,
    /// How `Auto` chooses.
    #[serde(default)]
    pub auto: AutoPolicy,
}

/// How AUTO chooses a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoPolicy {
    /// As PyTorch 2.11 does for this compute capability and cuDNN version: see `sdpa::policy`.
    #[default]
    Torch,
    /// The fastest in a short timing of all that support the shape, padded or not.
    Fastest,
}

/// An attention backend by the name a spec asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Backend {
    /// What [`AutoPolicy`] says.
    Auto,
    /// FlashAttention-2; pads a head_dim to the next multiple of 8, in the launch.
    Flash,
    /// As FLASH, by a kernel that reads unaligned rows itself.
    FlashUnpadded,
    /// The CUTLASS-style memory-efficient attention.
    MemEfficient,
    /// GEMMs and softmax apart, in float32 as PyTorch does by default.
    Math,
    /// As MATH, with 16-bit GEMMs and scores.
    MathFp16,
    /// cuDNN's fused attention.
    Cudnn,
    /// Blocked online softmax on the host's cores.
    CpuBlocked,
}

impl Backend {
    /// Every name a spec may use.
    pub const ALL: [Backend; 8] = [
        Backend::Auto,
        Backend::Flash,
        Backend::MemEfficient,
        Backend::Math,
        Backend::MathFp16,
        Backend::Cudnn,
        Backend::CpuBlocked,
        Backend::FlashUnpadded,
    ];

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Auto => "AUTO",
            Backend::Flash => "FLASH",
            Backend::FlashUnpadded => "FLASH_UNPADDED",
            Backend::MemEfficient => "MEM_EFFICIENT",
            Backend::Math => "MATH",
            Backend::MathFp16 => "MATH_FP16",
            Backend::Cudnn => "CUDNN",
            Backend::CpuBlocked => "CPU_BLOCKED",
        }
    }
}

impl Gemm {
    /// Without padding.
    pub fn dense(shape: GemmShape) -> Self {
        Gemm { shape, data: shape }
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
        Gemm::dense(self.data)
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
        Sdpa { shape, data_head_dim, causal: false, backend, auto: AutoPolicy::Torch }
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
