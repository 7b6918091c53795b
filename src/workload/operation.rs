//! What one launch computes, padding included.

pub use super::backend::Backend;
pub use super::gemm::Gemm;
use super::precision::Precision;
pub use super::provider::ProviderChoice;
pub use super::sdpa::Sdpa;
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
    use crate::workload::{GemmLayout, GemmShape};

    const SHAPE: GemmShape = GemmShape { m: 2, n: 3, k: 5 };

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
}
