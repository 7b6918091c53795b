//! G5: a GEMM at every M of a range, the number of tokens: decode at one end, prefill at the other.

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
    name: "gemm_m_dense",
    group: "G5",
    bench: "g5_gemm_m_dense",
    read: read::<GemmMDense>,
    view: View {
        dim: "M",
        title: "GEMM over M",
        layout: Layout::Sweep,
        plots: &[Plot::latency("g5_latency_vs_M", "GEMM latency")],
        findings: &[sweep::add],
        axes: &[Axis::GemmM],
    },
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GemmMDense {
    /// A curve each.
    dtypes: List<DType>,
    /// What is kept while M varies.
    shape: Weights,
    /// First and last M.
    #[serde(rename = "M_range")]
    m_range: DimRange,
    /// Step up to M = 128.
    #[serde(rename = "M_step_1", default = "one")]
    m_step_1: Size,
    /// Step above M = 128.
    #[serde(rename = "M_step_2", default = "two")]
    m_step_2: Size,
    #[serde(default)]
    gemm_algorithms: GemmAlgorithms,
}

/// The weights that every token is multiplied by.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {K, N}")]
struct Weights {
    #[serde(rename = "K")]
    k: Size,
    #[serde(rename = "N")]
    n: Size,
}

impl GemmMDense {
    fn m_values(&self) -> impl Iterator<Item = usize> {
        self.m_range.stepped(BOUNDARY, self.m_step_1, self.m_step_2)
    }

    fn shape(&self, m: usize) -> GemmShape {
        GemmShape { m, n: self.shape.n.get(), k: self.shape.k.get() }
    }
}

impl Sweep for GemmMDense {
    fn check(&self) -> Result<(), Problem> {
        check::cases("M_range", self.m_values(), self.dtypes.len())?;
        check::gemm("shape", self.shape(self.m_range.hi()))
    }

    /// A curve for each element type, a point for each M: `G5/K4096_N4096_fp16/M107`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &dtype in &self.dtypes {
            let series = format!("K{}_N{}_{}", self.shape.k, self.shape.n, dtype.name());
            let curve = Curve { group, series, legend: dtype.name().to_owned(), dtype, dim: "M" };
            for m in self.m_values() {
                cases.extend(self.gemm_algorithms.cases(&curve, m, self.shape(m)));
            }
        }
        cases
    }
}
