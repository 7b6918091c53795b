//! Attention, padding included.

use super::backend::Backend;
use super::provider::ProviderChoice;
use super::shape::SdpaShape;
use serde::{Deserialize, Serialize};

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
