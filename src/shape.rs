//! The shapes that the sweeps vary, and the work and traffic that follow from them.

use serde::{Deserialize, Serialize};

/// A 16-bit floating-point element type. Every product and attention here accumulates in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 binary16.
    #[serde(alias = "float16")]
    Fp16,
    /// bfloat16: the upper half of a float32.
    #[serde(alias = "bfloat16")]
    Bf16,
}

impl DType {
    /// Size of one element in bytes.
    pub const SIZE_BYTES: usize = 2;

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            DType::Fp16 => "fp16",
            DType::Bf16 => "bf16",
        }
    }
}

/// A matrix product `C[M,N] = A[M,K] · B[K,N]`, all row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GemmShape {
    /// Rows of A and C.
    #[serde(rename = "M")]
    pub m: usize,
    /// Columns of B and C.
    #[serde(rename = "N")]
    pub n: usize,
    /// Columns of A, rows of B: the dimension summed over.
    #[serde(rename = "K")]
    pub k: usize,
}

impl GemmShape {
    /// Floating-point operations of one product: a multiplication and an addition per term.
    pub fn flops(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }

    /// Bytes that must move: each operand read once, the result written once.
    pub fn bytes(&self) -> f64 {
        let (m, n, k) = (self.m as f64, self.n as f64, self.k as f64);
        (m * k + k * n + m * n) * DType::SIZE_BYTES as f64
    }
}

/// The tensors of a self-attention, `[batch, n_heads, seq_len, head_dim]` each, contiguous (BHSD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdpaShape {
    /// Sequences.
    pub batch: usize,
    /// Tokens in each sequence, for queries and keys alike.
    pub seq_len: usize,
    /// Attention heads, for queries and keys alike.
    pub n_heads: usize,
    /// Elements of each head's vectors.
    pub head_dim: usize,
}

impl SdpaShape {
    /// Elements of one of the four tensors.
    pub fn elements(&self) -> usize {
        self.batch * self.n_heads * self.seq_len * self.head_dim
    }

    /// Floating-point operations of the two products; a causal mask leaves half of them.
    pub fn flops(&self, causal: bool) -> f64 {
        let pairs = self.batch as f64 * self.n_heads as f64 * (self.seq_len as f64).powi(2);
        4.0 * pairs * self.head_dim as f64 * if causal { 0.5 } else { 1.0 }
    }

    /// Bytes that must move: Q, K and V read once, O written once.
    pub fn bytes(&self) -> f64 {
        4.0 * self.batch as f64
            * self.n_heads as f64
            * self.seq_len as f64
            * self.head_dim as f64
            * DType::SIZE_BYTES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_traffic_of_known_shapes() {
        let gemm = GemmShape { m: 4096, n: 4096, k: 107 };
        assert_eq!(gemm.flops(), 3_590_324_224.0);
        assert_eq!(gemm.bytes(), 35_307_520.0);
        let sdpa = SdpaShape { batch: 4, seq_len: 2048, n_heads: 32, head_dim: 128 };
        assert_eq!(sdpa.flops(false), 274_877_906_944.0);
        assert_eq!(sdpa.flops(true), 137_438_953_472.0);
        assert_eq!(sdpa.bytes(), 4.0 * 33_554_432.0 * 2.0);
    }

    #[test]
    fn the_published_names_of_a_dtype_are_read() {
        for (text, dtype) in
            [("fp16", DType::Fp16), ("float16", DType::Fp16), ("bf16", DType::Bf16)]
        {
            assert_eq!(serde_yaml::from_str::<DType>(text).unwrap(), dtype);
        }
    }
}
