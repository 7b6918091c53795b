//! G5: a GEMM at every M of a range, the number of tokens: decode at one end, prefill at the other.

use super::prelude::*;

pub const TYPE: Type = Type {
    name: "gemm_m_dense",
    group: "G5",
    bench: "g5_gemm_m_dense",
    read: read::<GemmMDense>,
    view: View {
        dim: "M",
        title: "GEMM over M",
        layout: Layout::Sweep,
        plots: &[Plot::latency("g5_latency_vs_M", "GEMM latency")],
        findings: &[findings::sweep::add, findings::pytorch::add],
        axes: &[Axis::GemmM],
    },
};

const M: DimKeys = DimKeys {
    range: "M_range",
    list: "M_values",
    boundary: "M_boundary",
    steps: ["M_step_1", "M_step_2"],
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GemmMDense {
    dtypes: List<Precision>,
    shape: Weights,
    #[serde(rename = "M_range")]
    m_range: Option<DimRange>,
    #[serde(rename = "M_values")]
    m_values: Option<List<Size>>,
    #[serde(rename = "M_boundary")]
    m_boundary: Option<Size>,
    #[serde(rename = "M_step_1")]
    m_step_1: Option<Size>,
    #[serde(rename = "M_step_2")]
    m_step_2: Option<Size>,
    #[serde(default)]
    layout: GemmLayout,
    #[serde(default = "one")]
    batch: Size,
    #[serde(default)]
    gemm_algorithms: GemmAlgorithms,
    #[serde(default)]
    provider: GemmProvider,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {K, N}")]
struct Weights {
    #[serde(rename = "K")]
    k: Size,
    #[serde(rename = "N")]
    n: Size,
}

impl GemmMDense {
    fn options(&self) -> Options {
        let (algorithms, provider) = (self.gemm_algorithms, self.provider);
        Options { layout: self.layout, batch: self.batch, algorithms, provider }
    }

    fn m(&self) -> Dims<'_> {
        let (range, list) = (self.m_range, self.m_values.as_ref());
        let (boundary, steps) = (self.m_boundary, [self.m_step_1, self.m_step_2]);
        Dims { keys: &M, range, list, boundary, steps }
    }

    fn shape(&self, m: usize) -> GemmShape {
        GemmShape { m, n: self.shape.n.get(), k: self.shape.k.get() }
    }
}

impl Sweep for GemmMDense {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.m())
    }

    fn check(&self) -> Result<(), Problem> {
        check::layout_of(&self.dtypes, self.layout)?;
        self.m().check(self.dtypes.len())?;
        check::gemm("shape", &self.options().gemm(self.shape(self.m().largest())))
    }

    /// A curve for each element type, a point for each M: `G5/K4096_N4096_fp16/M107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let Weights { k, n } = self.shape;
        let line = |&dtype: &Precision| {
            let (legend, dim) = (dtype.name().to_owned(), "M");
            let line = Line {
                group,
                series: format!("K{k}_N{n}_{legend}"),
                legend,
                dtype,
                dim,
                options: self.options(),
            };
            line.cases(self.m().points(), |m| self.shape(m))
        };
        self.dtypes.iter().flat_map(line).collect()
    }
}
