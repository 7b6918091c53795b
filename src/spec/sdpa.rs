//! Attention swept over head_dim (S1), and over the backends (S2, C21).

use super::check::{self, Problem, problem};
use super::value::{DimRange, List, Size};
use super::{auto, boundary, fp16, one, two};
use crate::workload::operation::{AutoPolicy, Backend, Sdpa};
use crate::workload::shape::{DType, SdpaShape};
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
    /// Heads of keys and values, a divisor of `n_heads`; as many as those if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<Size>,
}

impl AttentionSize {
    /// The shape at one head_dim.
    pub fn with_head_dim(self, head_dim: usize) -> SdpaShape {
        let AttentionSize { batch, seq_len, n_heads, .. } = self;
        SdpaShape {
            batch: batch.get(),
            seq_len: seq_len.get(),
            n_heads: n_heads.get(),
            n_kv_heads: self.fewer_kv_heads().map(Size::get),
            head_dim,
        }
    }

    /// As part of a case's id: `b4_s2048_h32`, or `b4_s2048_h32_kv8`.
    pub fn id(self) -> String {
        let kv_heads =
            self.fewer_kv_heads().map_or_else(String::new, |heads| format!("_kv{heads}"));
        format!("b{}_s{}_h{}{kv_heads}", self.batch, self.seq_len, self.n_heads)
    }

    /// As a legend: `batch 4, seq 2048, 32 heads`, or `..., 32 heads on 8`.
    pub fn legend(self) -> String {
        let on = self.fewer_kv_heads().map_or_else(String::new, |heads| format!(" on {heads}"));
        format!("batch {}, seq {}, {} heads{on}", self.batch, self.seq_len, self.n_heads)
    }

    fn fewer_kv_heads(self) -> Option<Size> {
        self.n_kv_heads.filter(|heads| *heads != self.n_heads)
    }

    /// Refuses tensors that are too large, and heads that cannot be shared evenly.
    pub(super) fn check(self, key: &str, head_dim: usize) -> Result<(), Problem> {
        let (heads, kv_heads) = (self.n_heads, self.n_kv_heads.unwrap_or(self.n_heads));
        if !heads.get().is_multiple_of(kv_heads.get()) {
            let what = format!("n_kv_heads {kv_heads} does not divide n_heads, {heads}");
            return Err(problem(key, what));
        }
        check::sdpa(key, self.with_head_dim(head_dim))
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
    /// How AUTO chooses.
    #[serde(default)]
    pub auto: AutoPolicy,
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
        let dense = Sdpa::dense(shape.with_head_dim(head_dim), self.backend);
        Sdpa { causal: self.causal, auto: self.auto, ..dense }
    }

    fn dims(&self) -> impl Iterator<Item = usize> {
        let boundary = self.head_dim_boundary.get();
        self.head_dim_range.stepped(boundary, self.head_dim_step_1, self.head_dim_step_2)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        check::cases("head_dim_range", self.dims(), self.shapes.len())?;
        let largest = self.head_dim_range.hi();
        self.shapes.iter().try_for_each(|shape| shape.check("shapes", largest))
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
    /// How AUTO chooses.
    #[serde(default)]
    pub auto: AutoPolicy,
    /// Mask out keys after the query.
    #[serde(default)]
    pub causal: bool,
}

impl SdpaBackendForced {
    /// The operation at one point.
    pub fn operation(&self, head_dim: usize, backend: Backend) -> Sdpa {
        let dense = Sdpa::dense(self.shape.with_head_dim(head_dim), backend);
        Sdpa { causal: self.causal, auto: self.auto, ..dense }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let head_dims = || self.head_dims.iter().map(|dim| dim.get());
        check::cases("head_dims", head_dims(), self.backends.len())?;
        head_dims().try_for_each(|dim| self.shape.check("shape", dim))
    }
}

/// C21: which backend AUTO takes at each head_dim, at several shapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdpaBackendSelection {
    /// Element type.
    #[serde(default = "fp16")]
    pub dtype: DType,
    /// What is kept while head_dim varies.
    pub shapes: List<AttentionSize>,
    /// The points of each curve.
    pub head_dims: List<Size>,
    /// Who is asked; a curve each, at each shape.
    #[serde(default = "only_auto")]
    pub backends: List<Backend>,
    /// Read for the published spec's sake: the backend that ran is always recorded.
    #[serde(default = "yes")]
    pub detect_backend: bool,
    /// How AUTO chooses.
    #[serde(default)]
    pub auto: AutoPolicy,
    /// Mask out keys after the query.
    #[serde(default)]
    pub causal: bool,
}

fn only_auto() -> List<Backend> {
    List::of_one(Backend::Auto)
}

fn yes() -> bool {
    true
}

impl SdpaBackendSelection {
    /// Every head_dim, in ascending order: the published list jumps to and fro.
    pub fn head_dims(&self) -> Vec<usize> {
        let mut head_dims: Vec<usize> = self.head_dims.iter().map(|dim| dim.get()).collect();
        head_dims.sort_unstable();
        head_dims
    }

    /// The operation at one point.
    pub fn operation(&self, shape: AttentionSize, head_dim: usize, backend: Backend) -> Sdpa {
        let dense = Sdpa::dense(shape.with_head_dim(head_dim), backend);
        Sdpa { causal: self.causal, auto: self.auto, ..dense }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let head_dims = || self.head_dims.iter().map(|dim| dim.get());
        check::cases("head_dims", head_dims(), self.shapes.len() * self.backends.len())?;
        let largest = head_dims().max().unwrap_or(1);
        self.shapes.iter().try_for_each(|shape| shape.check("shapes", largest))
    }
}
