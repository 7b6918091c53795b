//! C21: which backend AUTO takes at each head_dim, at several shapes.

use super::prelude::*;

pub const TYPE: Type = Type {
    name: "sdpa_backend_selection",
    group: "C21",
    bench: "s2_sdpa_backend_forced",
    read: read::<SdpaBackendSelection>,
    view: View {
        dim: "head_dim",
        title: "Attention by the backend that is chosen",
        layout: Layout::Sweep,
        plots: &[Plot {
            by_backend: true,
            ..Plot::latency(
                "c21_backend_selection",
                "Attention latency by the backend that is chosen",
            )
        }],
        findings: &[findings::selection::add, findings::sweep::add],
        axes: &[Axis::Sdpa],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdpaBackendSelection {
    #[serde(default = "fp16")]
    dtype: DType,
    shapes: List<AttentionSize>,
    head_dims: List<Size>,
    /// Who is asked; a curve each, at each shape.
    #[serde(default = "only_auto")]
    backends: List<Backend>,
    /// Read for the published spec's sake: the backend that ran is always recorded.
    #[serde(default = "yes")]
    detect_backend: bool,
    #[serde(default)]
    provider: ProviderChoice,
    #[serde(default)]
    causal: bool,
}

fn only_auto() -> List<Backend> {
    List::of_one(Backend::Auto)
}

fn yes() -> bool {
    true
}

impl SdpaBackendSelection {
    /// In ascending order: the published list jumps to and fro.
    fn head_dims(&self) -> Vec<usize> {
        let mut head_dims: Vec<usize> = self.head_dims.iter().map(|dim| dim.get()).collect();
        head_dims.sort_unstable();
        head_dims
    }
}

impl Sweep for SdpaBackendSelection {
    fn check(&self) -> Result<(), Problem> {
        let head_dims = self.head_dims();
        let series = self.shapes.len() * self.backends.len();
        check::cases("head_dims", head_dims.iter().copied(), series)?;
        let largest = head_dims.last().copied().unwrap_or(1);
        self.shapes.iter().try_for_each(|shape| shape.check("shapes", largest))
    }

    /// A curve for each backend at each shape, a point for each head_dim:
    /// `C21/b4_s2048_h32_fp16_AUTO/d107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &shape in &self.shapes {
            for &backend in &self.backends {
                let curve = shape.legend_of(backend, &self.backends);
                for head_dim in self.head_dims() {
                    let attention = shape.attention(head_dim, backend, self.provider, self.causal);
                    cases.push(shape.row(group, self.dtype, attention).on_curve(&*curve));
                }
            }
        }
        cases
    }
}
