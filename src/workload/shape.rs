//! The shapes that the sweeps vary, and the work and traffic that follow from them.

pub use super::precision::DType;
use super::precision::Precision;
use serde::{Deserialize, Serialize};

/// A GEMM `C[M,N] = A[M,K] · B[K,N]`, as the math has it.
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
    /// Floating-point operations of one GEMM: a multiplication and an addition per term.
    pub fn flops(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }

    /// Bytes that must move: each operand read once, the result written once.
    pub fn bytes(&self, precision: Precision) -> f64 {
        let (m, n, k) = (self.m as f64, self.n as f64, self.k as f64);
        let [operand, result] =
            [precision.operand(), precision.result()].map(|element| element.bytes() as f64);
        (m * k + k * n) * operand + m * n * result
    }
}

/// Two linear layers in the place of one: `[M, in] · [in, rank] · [rank, out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRankShape {
    /// Tokens: rows of the input and of the result.
    #[serde(rename = "M")]
    pub m: usize,
    /// Features of the input.
    pub in_features: usize,
    /// Features between the two.
    pub rank: usize,
    /// Features of the result.
    pub out_features: usize,
}

/// The tensors of an attention, `[batch, n_heads, seq_len, head_dim]` each, contiguous (BHSD); keys
/// and values have `n_kv_heads` and `kv_len`, where those are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdpaShape {
    /// Sequences.
    pub batch: usize,
    /// Tokens in each sequence: its queries, and its keys if `kv_len` says nothing else.
    pub seq_len: usize,
    /// Keys of each sequence where they are not as many as the queries: those of a KV cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_len: Option<usize>,
    /// Attention heads: those of the queries and the result.
    pub n_heads: usize,
    /// Heads of the keys and values where they are fewer (grouped-query attention): a divisor of
    /// `n_heads` below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    /// Elements of each head's vectors.
    pub head_dim: usize,
}

impl SdpaShape {
    /// Heads of the keys and values.
    pub fn kv_heads(&self) -> usize {
        self.n_kv_heads.unwrap_or(self.n_heads)
    }

    /// Keys of each sequence.
    pub fn kv_len(&self) -> usize {
        self.kv_len.unwrap_or(self.seq_len)
    }

    /// Query heads that share one KV head and values. Head `h` of the queries, counted over the
    /// batch, takes head `h / heads_per_kv_head`.
    pub fn heads_per_kv_head(&self) -> usize {
        self.n_heads / self.kv_heads()
    }

    /// At another head_dim.
    pub fn with_head_dim(self, head_dim: usize) -> Self {
        SdpaShape { head_dim, ..self }
    }

    /// Elements of the queries, and of the result.
    pub fn elements(&self) -> usize {
        self.batch * self.n_heads * self.seq_len * self.head_dim
    }

    /// Elements of the keys, and of the values.
    pub fn kv_elements(&self) -> usize {
        self.batch * self.kv_heads() * self.kv_len() * self.head_dim
    }

    /// Floating-point operations of the two GEMMs; a causal mask leaves half of them.
    pub fn flops(&self, causal: bool) -> f64 {
        let pairs = (self.batch * self.n_heads) as f64 * self.seq_len as f64 * self.kv_len() as f64;
        4.0 * pairs * self.head_dim as f64 * if causal { 0.5 } else { 1.0 }
    }

    /// Bytes that must move: Q, K and V read once, O written once.
    pub fn bytes(&self) -> f64 {
        let queries = self.n_heads as f64 * self.seq_len as f64;
        let keys = self.kv_heads() as f64 * self.kv_len() as f64;
        let vectors = 2.0 * self.batch as f64 * (queries + keys);
        vectors * self.head_dim as f64 * DType::SIZE_BYTES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_traffic_of_known_shapes() {
        let gemm = GemmShape { m: 4096, n: 4096, k: 107 };
        assert_eq!(gemm.flops(), 3_590_324_224.0);
        let of_gemm = |precision| gemm.bytes(precision);
        assert_eq!(of_gemm(Precision::Fp16), 35_307_520.0);
        assert_eq!(of_gemm(Precision::Tf32), 2.0 * 35_307_520.0);
        assert_eq!(of_gemm(Precision::Fp8E4m3), 34_430_976.0);
        let sdpa = SdpaShape {
            batch: 4,
            seq_len: 2048,
            kv_len: None,
            n_heads: 32,
            n_kv_heads: None,
            head_dim: 128,
        };
        assert_eq!(sdpa.flops(false), 274_877_906_944.0);
        assert_eq!(sdpa.flops(true), 137_438_953_472.0);
        assert_eq!(sdpa.bytes(), 4.0 * 33_554_432.0 * 2.0);
        let grouped = SdpaShape { n_kv_heads: Some(8), ..sdpa };
        assert_eq!((grouped.heads_per_kv_head(), sdpa.heads_per_kv_head()), (4, 1));
        assert_eq!(grouped.flops(false), sdpa.flops(false));
        assert_eq!(grouped.elements(), 4 * grouped.kv_elements());
        assert_eq!(grouped.bytes(), 2.5 * 33_554_432.0 * 2.0);
        // One query on a cache: the cache is all that counts.
        let decode = SdpaShape { seq_len: 1, kv_len: Some(2048), ..grouped };
        assert_eq!(decode.flops(false), sdpa.flops(false) / 2048.0);
        assert_eq!((decode.elements(), decode.kv_elements()), (16_384, grouped.kv_elements()));
        assert_eq!(decode.bytes(), 2.0 * 8_388_608.0 * 2.0 + 2.0 * 16_384.0 * 2.0);
    }

    #[test]
    fn heads_and_number_of_keys_are_named_only_where_they_differ() {
        let published = r#"{"batch":4,"seq_len":2048,"n_heads":32,"head_dim":128}"#;
        let shape: SdpaShape = serde_json::from_str(published).unwrap();
        assert_eq!(serde_json::to_string(&shape).unwrap(), published);
        let grouped = SdpaShape { n_kv_heads: Some(8), ..shape };
        let text = serde_json::to_string(&grouped).unwrap();
        assert!(text.contains(r#""n_kv_heads":8"#), "{text}");
        assert_eq!(serde_json::from_str::<SdpaShape>(&text).unwrap(), grouped);
        let decode = SdpaShape { seq_len: 1, kv_len: Some(4096), ..shape };
        let text = serde_json::to_string(&decode).unwrap();
        assert!(text.contains(r#""seq_len":1,"kv_len":4096"#), "{text}");
        assert_eq!(serde_json::from_str::<SdpaShape>(&text).unwrap(), decode);
    }
}
