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
    head_dim_range: Option<DimRange>,
    head_dims: Option<List<Size>>,
    /// The last head_dim that is `head_dim_step_1` from the one before.
    head_dim_boundary: Option<Size>,
    head_dim_step_1: Option<Size>,
    head_dim_step_2: Option<Size>,
    /// Who is asked; a curve each, at each shape.
    #[serde(default = "auto")]
    backend: OneOrList<Backend>,
    #[serde(default)]
    provider: ProviderChoice,
    #[serde(default)]
    causal: bool,
}

impl SdpaDense {
    fn head_dim(&self) -> Dims<'_> {
        let (range, list) = (self.head_dim_range, self.head_dims.as_ref());
        let (boundary, steps) =
            (self.head_dim_boundary, [self.head_dim_step_1, self.head_dim_step_2]);
        Dims { keys: &HEAD_DIM, range, list, boundary, steps }
    }
}

impl Sweep for SdpaDense {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.head_dim())
    }

    fn check(&self) -> Result<(), Problem> {
        self.head_dim().check(self.shapes.len() * self.backend.len())?;
        let largest = self.head_dim().largest();
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
                for head_dim in self.head_dim().points() {
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
