//! What one launch computes, padding included.

use super::matrix::{GemmLayout, PaddedMatrix};
use super::precision::Precision;
use super::shape::{GemmShape, SdpaShape};
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
    /// `y = (x Vᵀ) Uᵀ` as two `nn.Linear`, one after the other: the first's result is the second's
    /// A. The rank is the first's N and the second's K.
    LowRank([Gemm; 2]),
    /// Several, one after the other: the GEMMs and the attention of a decoder layer.
    Layer(Vec<Operation>),
    /// The same with operands that come from memory: launches rotate over as many sets of them as
    /// fill the L2 cache twice. A CPU has one set.
    Cold(Box<Operation>),
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

/// A GEMM whose operands may be padded with zeros beyond `data`, or a batch of GEMMs of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// What the library is asked to multiply.
    pub shape: GemmShape,
    /// The part that holds data; no larger than `shape` in any dimension.
    pub data: GemmShape,
    /// How A and B are stored.
    #[serde(default, skip_serializing_if = "GemmLayout::is_default")]
    pub layout: GemmLayout,
    /// GEMMs of this shape in one call: A, B and C of each lie behind those of the one before. Only
    /// 1 where there is padding.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch: usize,
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

fn one() -> usize {
    1
}

fn is_one(batch: &usize) -> bool {
    *batch == 1
}

impl Gemm {
    /// One, without padding, of matrices as the math has them.
    pub fn dense(shape: GemmShape) -> Self {
        let (layout, provider) = (GemmLayout::Nn, ProviderChoice::Auto);
        Gemm { shape, data: shape, layout, batch: 1, provider }
    }

    /// Whether it is one GEMM of matrices as the math has them.
    pub fn is_plain(&self) -> bool {
        self.layout.is_default() && self.batch == 1
    }

    /// A, B and C as they are stored: those of a batch are one matrix of as many times the rows.
    ///
    /// # Panics
    /// If it is a batch, and has padding.
    pub fn matrices(&self) -> [PaddedMatrix; 3] {
        assert!(self.batch == 1 || self.shape == self.data, "padding of a single GEMM only");
        let stored = |size: [usize; 2], data: [usize; 2], transposed: bool| {
            let of_batch = |[rows, columns]: [usize; 2]| match transposed {
                true => [self.batch * columns, rows],
                false => [self.batch * rows, columns],
            };
            PaddedMatrix { size: of_batch(size), data: of_batch(data) }
        };
        let (shape, data) = (self.shape, self.data);
        [
            stored([shape.m, shape.k], [data.m, data.k], self.layout.a_transposed()),
            stored([shape.k, shape.n], [data.k, data.n], self.layout.b_transposed()),
            stored([shape.m, shape.n], [data.m, data.n], false),
        ]
    }

    /// Of A and of B: elements from one row to the next and from one column to the next, as the
    /// math has them.
    pub fn strides(&self) -> [[usize; 2]; 2] {
        let GemmShape { m, n, k } = self.shape;
        let a = if self.layout.a_transposed() { [1, m] } else { [k, 1] };
        let b = if self.layout.b_transposed() { [1, k] } else { [n, 1] };
        [a, b]
    }

    /// Of its data alone.
    pub fn unpadded(self) -> Self {
        Gemm { shape: self.data, ..self }
    }

    /// Useful floating-point operations: padding does not count.
    fn flops(&self) -> f64 {
        self.batch as f64 * self.data.flops()
    }

    /// Bytes that must move, padding included.
    fn bytes(&self, precision: Precision) -> f64 {
        self.batch as f64 * self.shape.bytes(precision)
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
            Operation::LowRank(pair) => pair,
            Operation::Cold(of) => of.gemms(),
            Operation::Layer(_) => &[],
            Operation::Sdpa(_) | Operation::SdpaOnTheFly(_) | Operation::SdpaKernelOnly(_) => &[],
        }
    }

    /// Its attention; none of GEMMs.
    pub fn sdpa(&self) -> Option<&Sdpa> {
        match self {
            Operation::Sdpa(sdpa)
            | Operation::SdpaOnTheFly(sdpa)
            | Operation::SdpaKernelOnly(sdpa) => Some(sdpa),
            Operation::Cold(of) => of.sdpa(),
            _ => None,
        }
    }

    /// What it is without [`Operation::Cold`].
    pub fn warm(&self) -> &Operation {
        match self {
            Operation::Cold(of) => of.warm(),
            other => other,
        }
    }

    /// Its parts, where it is of several kinds.
    pub fn parts(&self) -> &[Operation] {
        match self.warm() {
            Operation::Layer(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }

    /// Whose kernels were asked for.
    pub fn provider(&self) -> ProviderChoice {
        if let Operation::Layer(parts) = self.warm() {
            return parts.first().map(Operation::provider).unwrap_or_default();
        }
        let of_gemms = self.gemms().first().map(|gemm| gemm.provider);
        self.sdpa().map(|sdpa| sdpa.provider).or(of_gemms).unwrap_or_default()
    }

    /// Useful floating-point operations of one launch: padding does not count.
    pub fn flops(&self) -> f64 {
        match self {
            Operation::Sdpa(sdpa)
            | Operation::SdpaOnTheFly(sdpa)
            | Operation::SdpaKernelOnly(sdpa) => sdpa.unpadded().shape.flops(sdpa.causal),
            Operation::Cold(_) | Operation::Layer(_) => {
                self.parts().iter().map(Operation::flops).sum()
            }
            _ => self.gemms().iter().map(Gemm::flops).sum(),
        }
    }

    /// Bytes that one launch must move at least, padding included; copies move both of their sides.
    pub fn bytes(&self, precision: Precision) -> f64 {
        match self {
            Operation::GemmOnTheFly(gemm) => {
                let (operand, result) = (precision.operand(), precision.result());
                let copies = gemm.matrices().into_iter().zip([operand, operand, result]);
                let copies = copies.filter(|(matrix, _)| matrix.is_padded());
                let copied = copies.map(|(matrix, element)| matrix.copy_bytes(element));
                gemm.bytes(precision) + copied.sum::<f64>()
            }
            Operation::Sdpa(sdpa) | Operation::SdpaKernelOnly(sdpa) => sdpa.shape.bytes(),
            Operation::Cold(_) | Operation::Layer(_) => {
                self.parts().iter().map(|part| part.bytes(precision)).sum()
            }
            Operation::SdpaOnTheFly(sdpa) => {
                2.0 * sdpa.shape.bytes() + sdpa.unpadded().shape.bytes()
            }
            _ => self.gemms().iter().map(|gemm| gemm.bytes(precision)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    const SHAPE: GemmShape = GemmShape { m: 2, n: 3, k: 5 };

    #[test]
    fn matrices_are_as_they_are_stored() {
        let sizes = |layout, batch| {
            let gemm = Gemm { layout, batch, ..Gemm::dense(SHAPE) };
            gemm.matrices().map(|matrix| matrix.size)
        };
        assert_eq!(sizes(GemmLayout::Nn, 1), [[2, 5], [5, 3], [2, 3]]);
        assert_eq!(sizes(GemmLayout::Nt, 1), [[2, 5], [3, 5], [2, 3]]);
        assert_eq!(sizes(GemmLayout::Tn, 4), [[20, 2], [20, 3], [8, 3]]);
        assert_eq!(sizes(GemmLayout::Tt, 4), [[20, 2], [12, 5], [8, 3]]);
        // The last element is the last one stored, whatever the layout.
        for layout in GemmLayout::ALL {
            let [[a_row, a_column], [b_row, b_column]] =
                Gemm { layout, ..Gemm::dense(SHAPE) }.strides();
            assert_eq!(a_row + 4 * a_column, 9);
            assert_eq!(4 * b_row + 2 * b_column, 14);
        }
    }

    #[test]
    fn a_batch_is_so_many_times_the_work() {
        let operation = |batch| Operation::Gemm(Gemm { batch, ..Gemm::dense(SHAPE) });
        assert_eq!(operation(7).flops(), 7.0 * operation(1).flops());
        for precision in Precision::ALL {
            assert_eq!(operation(7).bytes(precision), 7.0 * operation(1).bytes(precision));
        }
    }

    #[test]
    fn copies_move_both_of_their_sides() {
        let gemm =
            |layout| Gemm { shape: GemmShape { m: 2, n: 16, k: 16 }, layout, ..Gemm::dense(SHAPE) };
        let bytes = |precision| Operation::GemmOnTheFly(gemm(GemmLayout::Nt)).bytes(precision);
        // A of 2 x 16 from 2 x 5, B of 16 x 16 from 3 x 5, C of 2 x 16 to 2 x 3.
        let (operands, result) = ([32 + 42, 256 + 271], 32 + 38);
        let sum = operands.iter().sum::<usize>() as f64;
        assert_eq!(bytes(Precision::Fp16), 2.0 * (sum + f64::from(result)));
        assert_eq!(bytes(Precision::Fp32), 4.0 * (sum + f64::from(result)));
        assert_eq!(bytes(Precision::Fp8E4m3), sum + 2.0 * f64::from(result));
        let [a, b, c] = gemm(GemmLayout::Nt).matrices();
        assert_eq!([a.size, b.size, c.size], [[2, 16], [16, 16], [2, 16]]);
        assert_eq!([a.data, b.data, c.data], [[2, 5], [3, 5], [2, 3]]);
    }

    #[test]
    fn only_what_is_not_the_default_is_written() {
        let plain = Gemm::dense(SHAPE);
        let written = to_value(plain).unwrap();
        assert_eq!(written, json!({"shape": SHAPE, "data": SHAPE}));
        assert_eq!(from_value::<Gemm>(written).unwrap(), plain);
        let other = Gemm { layout: GemmLayout::Nt, batch: 3, ..plain };
        let written = to_value(other).unwrap();
        assert_eq!((&written["layout"], &written["batch"]), (&json!("nt"), &json!(3)));
        assert_eq!(from_value::<Gemm>(written).unwrap(), other);
    }
}
