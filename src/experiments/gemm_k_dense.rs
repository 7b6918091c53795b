//! G3: a GEMM at every K of a range, the dimension summed over.

use super::check::{self, Problem};
use super::gemm::{Curve, GemmAlgorithms};
use super::sweep::{Sweep, Type, read};
use super::value::{BOUNDARY, DimRange, List, Size, one, two};
use crate::results::findings::sweep;
use crate::results::view::{Axis, Layout, Plot, View};
use crate::workload::case::Case;
use crate::workload::shape::{DType, GemmShape};
use serde::{Deserialize, Serialize};

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
        findings: &[sweep::add],
        axes: &[Axis::GemmK],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GemmKDense {
    /// A curve each.
    dtypes: List<DType>,
    /// What is kept while K varies.
    shape: OutputSize,
    /// First and last K.
    #[serde(rename = "K_range")]
    k_range: DimRange,
    /// Step up to K = 128.
    #[serde(rename = "K_step_1", default = "one")]
    k_step_1: Size,
    /// Step above K = 128.
    #[serde(rename = "K_step_2", default = "two")]
    k_step_2: Size,
    #[serde(default)]
    gemm_algorithms: GemmAlgorithms,
}

/// The result.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {M, N}")]
struct OutputSize {
    #[serde(rename = "M")]
    m: Size,
    #[serde(rename = "N")]
    n: Size,
}

impl GemmKDense {
    fn k_values(&self) -> impl Iterator<Item = usize> {
        self.k_range.stepped(BOUNDARY, self.k_step_1, self.k_step_2)
    }

    fn shape(&self, k: usize) -> GemmShape {
        GemmShape { m: self.shape.m.get(), n: self.shape.n.get(), k }
    }
}

impl Sweep for GemmKDense {
    fn check(&self) -> Result<(), Problem> {
        check::cases("K_range", self.k_values(), self.dtypes.len())?;
        check::gemm("shape", self.shape(self.k_range.hi()))
    }

    /// A curve for each element type, a point for each K: `G3/M4096_N4096_fp16/K107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &dtype in &self.dtypes {
            let series = format!("M{}_N{}_{}", self.shape.m, self.shape.n, dtype.name());
            let curve = Curve { group, series, legend: dtype.name().to_owned(), dtype, dim: "K" };
            for k in self.k_values() {
                cases.extend(self.gemm_algorithms.cases(&curve, k, self.shape(k)));
            }
        }
        cases
    }
}
