//! G3: a GEMM at every K of a range, the dimension summed over.

use super::prelude::*;

pub const TYPE: Type = Type {
    name: "gemm_k_dense",
    group: "G3",
    bench: "g3_gemm_k_dense",
    read: read::<GemmKDense>,
    view: View {
        dim: "K",
        title: "GEMM over K",
        layout: Layout::Sweep,
        plots: &[
            Plot::latency("g3_latency_vs_K", "GEMM latency"),
            Plot::throughput("g3_tflops_vs_K", "GEMM throughput"),
        ],
        findings: &[findings::sweep::add, findings::pytorch::add],
        axes: &[Axis::GemmK],
    },
};

const K: DimKeys = DimKeys {
    range: "K_range",
    list: "K_values",
    boundary: "K_boundary",
    steps: ["K_step_1", "K_step_2"],
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GemmKDense {
    dtypes: List<Precision>,
    shape: OutputSize,
    #[serde(rename = "K_range")]
    k_range: Option<DimRange>,
    #[serde(rename = "K_values")]
    k_values: Option<List<Size>>,
    #[serde(rename = "K_boundary")]
    k_boundary: Option<Size>,
    #[serde(rename = "K_step_1")]
    k_step_1: Option<Size>,
    #[serde(rename = "K_step_2")]
    k_step_2: Option<Size>,
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
#[serde(deny_unknown_fields, expecting = "a map {M, N}")]
struct OutputSize {
    #[serde(rename = "M")]
    m: Size,
    #[serde(rename = "N")]
    n: Size,
}

impl GemmKDense {
    fn options(&self) -> Options {
        let (algorithms, provider) = (self.gemm_algorithms, self.provider);
        Options { layout: self.layout, batch: self.batch, algorithms, provider }
    }

    fn k(&self) -> Dims<'_> {
        let (range, list) = (self.k_range, self.k_values.as_ref());
        let (boundary, steps) = (self.k_boundary, [self.k_step_1, self.k_step_2]);
        Dims { keys: &K, range, list, boundary, steps }
    }

    fn shape(&self, k: usize) -> GemmShape {
        GemmShape { m: self.shape.m.get(), n: self.shape.n.get(), k }
    }
}

impl Sweep for GemmKDense {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.k())
    }

    fn check(&self) -> Result<(), Problem> {
        check::layout_of(&self.dtypes, self.layout)?;
        self.k().check(self.dtypes.len())?;
        check::gemm("shape", &self.options().gemm(self.shape(self.k().largest())))
    }

    /// A curve for each element type, a point for each K: `G3/M4096_N4096_fp16/K107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let OutputSize { m, n } = self.shape;
        let line = |&dtype: &Precision| {
            let (legend, dim) = (dtype.name().to_owned(), "K");
            let line = Line {
                group,
                series: format!("M{m}_N{n}_{legend}"),
                legend,
                dtype,
                dim,
                options: self.options(),
            };
            line.cases(self.k().points(), |k| self.shape(k))
        };
        self.dtypes.iter().flat_map(line).collect()
    }
}
