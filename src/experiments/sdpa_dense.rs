//! S1: attention at every head_dim of a range.

use super::prelude::*;

pub const TYPE: Type = Type {
    name: "sdpa_dense",
    group: "S1",
    bench: "s1_sdpa_dense",
    read: read::<SdpaDense>,
    view: View {
        dim: "head_dim",
        title: "Attention over head_dim",
        layout: Layout::Sweep,
        plots: &[Plot::latency("s1_latency_vs_head_dim", "Attention latency over head_dim")],
        findings: &[
            findings::selection::add,
            findings::possible::add,
            findings::sweep::add,
            findings::kernel_only::add,
        ],
        axes: &[Axis::Sdpa],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdpaDense {
    #[serde(default = "fp16")]
    dtype: DType,
    shapes: List<AttentionSize>,
    head_dim_range: DimRange,
    /// The last head_dim that is `head_dim_step_1` from the one before.
    #[serde(default = "boundary")]
    head_dim_boundary: Size,
    #[serde(default = "one")]
    head_dim_step_1: Size,
    #[serde(default = "two")]
    head_dim_step_2: Size,
    /// Who is asked; a curve each, at each shape.
    #[serde(default = "auto")]
    backend: OneOrList<Backend>,
    #[serde(default)]
    provider: ProviderChoice,
    #[serde(default)]
    causal: bool,
}

impl SdpaDense {
    fn head_dims(&self) -> impl Iterator<Item = usize> {
        let boundary = self.head_dim_boundary.get();
        self.head_dim_range.stepped(boundary, self.head_dim_step_1, self.head_dim_step_2)
    }
}

impl Sweep for SdpaDense {
    fn check(&self) -> Result<(), Problem> {
        let series = self.shapes.len() * self.backend.len();
        check::cases("head_dim_range", self.head_dims(), series)?;
        let largest = self.head_dim_range.hi();
        self.shapes.iter().try_for_each(|shape| shape.check("shapes", largest))
    }

    /// A curve for each backend at each shape, a point for each head_dim,
    /// `S1/b4_s2048_h32_fp16/d107`; a backend other than AUTO is named,
    /// `S1/b4_s2048_h32_fp16_NS_FASTEST/d107`. Where AUTO gets a head_dim that is no multiple of 8,
    /// the variant `kernel_only` times the kernel without the padding; a device that needs none
    /// leaves it out.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &shape in &self.shapes {
            for &backend in &*self.backend {
                for head_dim in self.head_dims() {
                    let attention = shape.attention(head_dim, backend, self.provider, self.causal);
                    let series = shape.series(self.dtype, &attention, false);
                    let (point, whole) = (format!("d{head_dim}"), Operation::Sdpa(attention));
                    let row = Case::row(group, &series, &point, head_dim, self.dtype, whole)
                        .on_curve(shape.legend_of(backend, &self.backend))
                        .label("backend", backend.name())
                        .masked(self.causal);
                    cases.push(row.clone());
                    if backend == Backend::Auto && !head_dim.is_multiple_of(8) {
                        let alone = Operation::SdpaKernelOnly(attention);
                        cases.push(row.variant("kernel_only", alone));
                    }
                }
            }
        }
        cases
    }
}
