//! Attention swept over head_dim (S1), and over the backends (S2).

use super::check::{self, Problem};
use super::value::{DimRange, List, Size};
use super::{auto, boundary, fp16, one, two};
use crate::case::{Backend, Sdpa};
use crate::shape::{DType, SdpaShape};
use serde::{Deserialize, Serialize};

/// An attention but for its head_dim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {batch, seq_len, n_heads}")]
pub struct AttentionSize {
    /// Sequences.
    pub batch: Size,
    /// Tokens in each sequence.
    pub seq_len: Size,
    /// Attention heads.
    pub n_heads: Size,
}

impl AttentionSize {
    /// The shape at one head_dim.
    pub fn with_head_dim(self, head_dim: usize) -> SdpaShape {
        let AttentionSize { batch, seq_len, n_heads } = self;
        SdpaShape { batch: batch.get(), seq_len: seq_len.get(), n_heads: n_heads.get(), head_dim }
    }

    /// As part of a case's id: `b4_s2048_h32`.
    pub fn id(self) -> String {
        format!("b{}_s{}_h{}", self.batch, self.seq_len, self.n_heads)
    }

    /// As a legend: `batch 4, seq 2048, 32 heads`.
    pub fn legend(self) -> String {
        format!("batch {}, seq {}, {} heads", self.batch, self.seq_len, self.n_heads)
    }
}

/// S1: attention at every head_dim of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdpaDense {
    /// Element type.
    #[serde(default = "fp16")]
    pub dtype: DType,
    /// A curve each.
    pub shapes: List<AttentionSize>,
    /// First and last head_dim.
    pub head_dim_range: DimRange,
    /// The last head_dim that is `head_dim_step_1` from the one before.
    #[serde(default = "boundary")]
    pub head_dim_boundary: Size,
    /// Step up to the boundary.
    #[serde(default = "one")]
    pub head_dim_step_1: Size,
    /// Step above the boundary.
    #[serde(default = "two")]
    pub head_dim_step_2: Size,
    /// Which backend runs.
    #[serde(default = "auto")]
    pub backend: Backend,
    /// Mask out keys after the query.
    #[serde(default)]
    pub causal: bool,
}

impl SdpaDense {
    /// Every head_dim, in ascending order.
    pub fn head_dims(&self) -> Vec<usize> {
        self.dims().collect()
    }

    /// The operation at one point.
    pub fn operation(&self, shape: AttentionSize, head_dim: usize) -> Sdpa {
        Sdpa {
            shape: shape.with_head_dim(head_dim),
            data_head_dim: head_dim,
            causal: self.causal,
            backend: self.backend,
        }
    }

    fn dims(&self) -> impl Iterator<Item = usize> {
        let boundary = self.head_dim_boundary.get();
        self.head_dim_range.stepped(boundary, self.head_dim_step_1, self.head_dim_step_2)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        check::cases("head_dim_range", self.dims(), self.shapes.len())?;
        let largest = self.head_dim_range.hi();
        self.shapes.iter().try_for_each(|s| check::sdpa("shapes", s.with_head_dim(largest)))
    }
}

/// S2: attention by each of several backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdpaBackendForced {
    /// Element type.
    #[serde(default = "fp16")]
    pub dtype: DType,
    /// What is kept while head_dim and backend vary.
    pub shape: AttentionSize,
    /// The points of each curve.
    pub head_dims: List<Size>,
    /// A curve each.
    pub backends: List<Backend>,
    /// Mask out keys after the query.
    #[serde(default)]
    pub causal: bool,
}

impl SdpaBackendForced {
    /// The operation at one point.
    pub fn operation(&self, head_dim: usize, backend: Backend) -> Sdpa {
        let shape = self.shape.with_head_dim(head_dim);
        Sdpa { shape, data_head_dim: head_dim, causal: self.causal, backend }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let head_dims = || self.head_dims.iter().map(|dim| dim.get());
        check::cases("head_dims", head_dims(), self.backends.len())?;
        head_dims().try_for_each(|dim| check::sdpa("head_dims", self.shape.with_head_dim(dim)))
    }
}
