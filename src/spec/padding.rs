//! P1: what padding an awkward dimension to a better one buys back.

use super::check::{self, Problem, problem};
use super::fp16;
use super::sdpa::AttentionSize;
use super::value::{List, Size};
use crate::workload::operation::{AutoPolicy, Backend, Gemm, Sdpa};
use crate::workload::shape::{DType, GemmShape};
use serde::{Deserialize, Serialize};

/// P1: an attention and some products, each at a logical dimension padded to several physical ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaddingRescue {
    /// Element type.
    #[serde(default = "fp16")]
    pub dtype: DType,
    /// The dimension that holds data.
    pub logical_head_dim: Size,
    /// What it is padded to; the logical dimension itself stands for no padding.
    pub pad_options: List<Size>,
    /// The attention whose head_dim is padded.
    pub sdpa_shape: AttentionSize,
    /// The products; K or N of each is the logical dimension.
    pub gemm_shapes: List<GemmSize>,
    /// How AUTO chooses the attention's backend.
    #[serde(default)]
    pub auto: AutoPolicy,
    /// Mask out keys after the query.
    #[serde(default)]
    pub causal: bool,
}

/// A product as a spec gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {M, N, K}")]
pub struct GemmSize {
    /// Rows of the result.
    #[serde(rename = "M")]
    pub m: Size,
    /// Columns of the result.
    #[serde(rename = "N")]
    pub n: Size,
    /// The dimension summed over.
    #[serde(rename = "K")]
    pub k: Size,
}

/// Which dimension of a product is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padded {
    /// K, the dimension summed over: columns of A and rows of B.
    Reduction,
    /// N, the width of the result: columns of B.
    Projection,
}

impl Padded {
    /// The published name, in the column `shape_type`.
    pub fn shape_type(self) -> &'static str {
        match self {
            Padded::Reduction => "reduction",
            Padded::Projection => "projection",
        }
    }
}

impl PaddingRescue {
    /// The attention padded to `physical`; AUTO chooses its backend.
    pub fn sdpa(&self, physical: usize) -> Sdpa {
        let dense = Sdpa::dense(self.sdpa_shape.with_head_dim(physical), Backend::Auto);
        let data_head_dim = self.logical_head_dim.get();
        Sdpa { data_head_dim, causal: self.causal, auto: self.auto, ..dense }
    }

    /// The product `size` padded to `physical` in dimension `padded`.
    pub fn gemm(&self, size: GemmSize, padded: Padded, physical: usize) -> Gemm {
        let data = GemmShape { m: size.m.get(), n: size.n.get(), k: size.k.get() };
        let shape = match padded {
            Padded::Reduction => GemmShape { k: physical, ..data },
            Padded::Projection => GemmShape { n: physical, ..data },
        };
        Gemm { shape, data }
    }

    /// The products, each with the dimension that is padded.
    pub fn gemms(&self) -> impl Iterator<Item = (GemmSize, Padded)> {
        self.gemm_shapes.iter().filter_map(|&size| Some((size, self.padded(size)?)))
    }

    /// How much larger a padded tensor is than its data, in percent.
    pub fn memory_overhead_pct(&self, physical: usize) -> f64 {
        let logical = self.logical_head_dim.get() as f64;
        (physical as f64 - logical) / logical * 100.0
    }

    /// K if it is the logical dimension, else N if that is; a spec in which neither is does not load.
    fn padded(&self, size: GemmSize) -> Option<Padded> {
        match self.logical_head_dim {
            logical if logical == size.k => Some(Padded::Reduction),
            logical if logical == size.n => Some(Padded::Projection),
            _ => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let logical = self.logical_head_dim;
        check::cases("pad_options", 0..self.pad_options.len(), 1 + self.gemm_shapes.len())?;
        for &physical in &self.pad_options {
            if physical < logical {
                let what =
                    format!("{physical} is below logical_head_dim, {logical}: data would be lost");
                return Err(problem("pad_options", what));
            }
            self.sdpa_shape.check("sdpa_shape", physical.get())?;
        }
        for &size in &self.gemm_shapes {
            let padded = self.padded(size).ok_or_else(|| {
                let GemmSize { m, n, k } = size;
                let what = format!("{{M: {m}, N: {n}, K: {k}}} has nothing to pad");
                problem(
                    "gemm_shapes",
                    format!("{what}: K or N has to be logical_head_dim, {logical}"),
                )
            })?;
            for &physical in &self.pad_options {
                check::gemm("gemm_shapes", self.gemm(size, padded, physical.get()).shape)?;
            }
        }
        Ok(())
    }
}
