//! G4: a GEMM at every N of a range, as a projection of M tokens from K to N features.

use super::prelude::*;

pub const TYPE: Type = Type {
    name: "gemm_n_dense",
    group: "G4",
    bench: "g4_gemm_n_dense",
    read: read::<GemmNDense>,
    view: View {
        dim: "N",
        title: "GEMM over N",
        layout: Layout::Sweep,
        plots: &[Plot::latency("g4_latency_vs_N", "GEMM latency")],
        findings: &[findings::sweep::add, findings::pytorch::add],
        axes: &[Axis::GemmN],
    },
};

const N: DimKeys = DimKeys {
    range: "N_range",
    list: "N_values",
    boundary: "N_boundary",
    steps: ["N_step_1", "N_step_2"],
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GemmNDense {
    dtypes: List<Precision>,
    #[serde(rename = "M_values")]
    m_values: List<Size>,
    #[serde(rename = "K")]
    k: Size,
    #[serde(rename = "N_range")]
    n_range: Option<DimRange>,
    #[serde(rename = "N_values")]
    n_values: Option<List<Size>>,
    #[serde(rename = "N_boundary")]
    n_boundary: Option<Size>,
    #[serde(rename = "N_step_1")]
    n_step_1: Option<Size>,
    #[serde(rename = "N_step_2")]
    n_step_2: Option<Size>,
    #[serde(default)]
    layout: GemmLayout,
    #[serde(default = "one")]
    batch: Size,
    #[serde(default)]
    gemm_algorithms: GemmAlgorithms,
    #[serde(default)]
    provider: GemmProvider,
}

impl GemmNDense {
    fn options(&self) -> Options {
        let (algorithms, provider) = (self.gemm_algorithms, self.provider);
        Options { layout: self.layout, batch: self.batch, algorithms, provider }
    }

    fn n(&self) -> Dims<'_> {
        let (range, list) = (self.n_range, self.n_values.as_ref());
        let (boundary, steps) = (self.n_boundary, [self.n_step_1, self.n_step_2]);
        Dims { keys: &N, range, list, boundary, steps }
    }

    fn shape(&self, m: Size, n: usize) -> GemmShape {
        GemmShape { m: m.get(), n, k: self.k.get() }
    }
}

impl Sweep for GemmNDense {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.n())
    }

    fn check(&self) -> Result<(), Problem> {
        check::layout_of(&self.dtypes, self.layout)?;
        let series = self.dtypes.len().saturating_mul(self.m_values.len());
        self.n().check(series)?;
        let largest = |m| self.options().gemm(self.shape(m, self.n().largest()));
        self.m_values.iter().try_for_each(|&m| check::gemm("M_values", &largest(m)))
    }

    /// A curve for each M and element type, a point for each N: `G4/M1024_K4096_fp16/N107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &dtype in &self.dtypes {
            for &m in &self.m_values {
                let series = format!("M{m}_K{}_{}", self.k, dtype.name());
                let legend = format!("M={m} {}", dtype.name());
                let options = self.options();
                let line = Line { group, series, legend, dtype, dim: "N", options };
                let shape = |n| self.shape(m, n);
                cases.extend(line.cases(self.n().points(), shape));
            }
        }
        cases
    }
}
