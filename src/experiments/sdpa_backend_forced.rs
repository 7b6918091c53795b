//! S2: attention by each of several backends, at a few head_dims.

use super::attention::AttentionSize;
use super::check::{self, Problem};
use super::sweep::{Sweep, Type, read};
use super::value::{List, Size, fp16};
use crate::results::findings::backends;
use crate::results::view::{Axis, Layout, Plot, View};
use crate::workload::case::Case;
use crate::workload::operation::{AutoPolicy, Backend};
use crate::workload::shape::DType;
use serde::{Deserialize, Serialize};

pub const TYPE: Type = Type {
    name: "sdpa_backend_forced",
    group: "S2",
    bench: "s2_sdpa_backend_forced",
    read: read::<SdpaBackendForced>,
    view: View {
        dim: "head_dim",
        title: "Attention by backend",
        layout: Layout::Columns,
        // The slowest backend takes twenty times as long as the fastest.
        plots: &[Plot {
            is_log: true,
            ..Plot::latency("s2_backend_latency", "Attention latency by backend")
        }],
        findings: &[backends::add],
        axes: &[Axis::Sdpa],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdpaBackendForced {
    #[serde(default = "fp16")]
    dtype: DType,
    /// What is kept while head_dim and backend vary.
    shape: AttentionSize,
    /// The points of each curve.
    head_dims: List<Size>,
    /// A curve each.
    backends: List<Backend>,
    /// How AUTO chooses.
    #[serde(default)]
    auto: AutoPolicy,
    /// Mask out keys after the query.
    #[serde(default)]
    causal: bool,
}

impl SdpaBackendForced {
    fn head_dims(&self) -> impl Iterator<Item = usize> {
        self.head_dims.iter().map(|dim| dim.get())
    }
}

impl Sweep for SdpaBackendForced {
    fn check(&self) -> Result<(), Problem> {
        check::cases("head_dims", self.head_dims(), self.backends.len())?;
        self.head_dims().try_for_each(|dim| self.shape.check("shape", dim))
    }

    /// A curve for each backend, a point for each head_dim: `S2/b4_s2048_h32_fp16_FLASH/d107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for head_dim in self.head_dims() {
            for &backend in &self.backends {
                let attention = self.shape.attention(head_dim, backend, self.auto, self.causal);
                let row = self.shape.row(group, self.dtype, attention);
                cases.push(row.on_curve(backend.name()));
            }
        }
        cases
    }
}
