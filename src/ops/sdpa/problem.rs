//! An attention and its tensors.

use crate::device::{Cuda, cuda::Tensor};
use crate::workload::{CaseError, DType, Sdpa, philox};

/// An attention and its tensors, `[batch, n_heads, seq_len, head_dim]` each and contiguous (KV
/// heads may be fewer, and keys more): bits on the host (`B = Vec<u16>`), or buffers of a device.
#[derive(Clone, Debug)]
pub struct SdpaProblem<B> {
    /// The shape, the mask, and the part of each head that holds data.
    pub sdpa: Sdpa,
    /// Element type of all four.
    pub dtype: DType,
    /// Queries: tensor 0 of [`philox::fill`].
    pub q: B,
    /// Keys: tensor 1.
    pub k: B,
    /// Values: tensor 2.
    pub v: B,
    /// The result.
    pub o: B,
}

impl<B> SdpaProblem<B> {
    /// What scores are multiplied by: `1 / sqrt(data_head_dim)`, whatever the padding.
    pub fn scale(&self) -> f32 {
        (1.0 / (self.sdpa.data_head_dim as f64).sqrt()) as f32
    }
}

impl SdpaProblem<Vec<u16>> {
    /// Seeded normal queries, keys and values in host memory, and a result of zeros.
    pub fn on_host(sdpa: Sdpa, dtype: DType, seed: u64) -> Self {
        let columns = sdpa.shape.head_dim;
        let (elements, kv_elements) = (sdpa.shape.elements(), sdpa.shape.kv_elements());
        let tensor = |number, elements: usize| {
            let rows = elements / columns;
            let (size, data) = ([rows, columns], [rows, sdpa.data_head_dim]);
            let mut bits = vec![0; elements];
            philox::fill(&mut bits, dtype, seed, number, size, data);
            bits
        };
        SdpaProblem {
            sdpa,
            dtype,
            q: tensor(0, elements),
            k: tensor(1, kv_elements),
            v: tensor(2, kv_elements),
            o: vec![0; elements],
        }
    }
}

impl SdpaProblem<Tensor> {
    /// The same in device memory; the result is not initialised.
    pub fn on_cuda(cuda: &Cuda, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let columns = sdpa.shape.head_dim;
        let (elements, kv_elements) = (sdpa.shape.elements(), sdpa.shape.kv_elements());
        let tensor = |number, elements: usize| {
            let rows = elements / columns;
            cuda.normal(dtype, (seed, number), [rows, columns], [rows, sdpa.data_head_dim])
        };
        Ok(SdpaProblem {
            sdpa,
            dtype,
            q: tensor(0, elements)?,
            k: tensor(1, kv_elements)?,
            v: tensor(2, kv_elements)?,
            o: cuda.alloc(elements)?,
        })
    }
}
