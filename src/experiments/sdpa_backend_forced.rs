//! S2: attention by each of several backends, at a few head_dims.

use super::prelude::*;

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
        findings: &[findings::backends::add, findings::selection::add],
        axes: &[Axis::Sdpa],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdpaBackendForced {
    #[serde(default = "fp16")]
    dtype: DType,
    shape: AttentionSize,
    head_dims: List<Size>,
    backends: List<Backend>,
    #[serde(default)]
    provider: ProviderChoice,
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
                let attention = self.shape.attention(head_dim, backend, self.provider, self.causal);
                let row = self.shape.row(group, self.dtype, attention);
                cases.push(row.on_curve(backend.name()));
            }
        }
        cases
    }
}
