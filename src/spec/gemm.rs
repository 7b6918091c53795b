//! Matrix products swept over the dimension summed over (G3), and over the width of the result (G4).

use super::check::{self, Problem};
use super::value::{DimRange, List, Size};
use super::{BOUNDARY, one, two};
use crate::workload::case::Case;
use crate::workload::operation::Operation;
use crate::workload::shape::{DType, GemmShape};
use serde::{Deserialize, Serialize};

/// The result of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {M, N}")]
pub struct OutputSize {
    /// Its rows.
    #[serde(rename = "M")]
    pub m: Size,
    /// Its columns.
    #[serde(rename = "N")]
    pub n: Size,
}

/// Which algorithms of the library are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GemmAlgorithms {
    /// The one that it chooses.
    #[default]
    Chosen,
    /// That, and as the variant `best_algorithm` the fastest of all it offers.
    Best,
}

impl GemmAlgorithms {
    /// The row of a product, and its variant if there is one.
    pub fn cases(self, row: Case) -> Vec<Case> {
        match (self, &row.operation) {
            (GemmAlgorithms::Best, Operation::Gemm(gemm)) => {
                let best = row.variant("best_algorithm", Operation::GemmBest(*gemm));
                vec![row, best]
            }
            _ => vec![row],
        }
    }
}

/// G3: products at every K of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GemmKDense {
    /// A curve each.
    pub dtypes: List<DType>,
    /// What is kept while K varies.
    pub shape: OutputSize,
    /// First and last K.
    #[serde(rename = "K_range")]
    pub k_range: DimRange,
    /// Step up to K = 128.
    #[serde(rename = "K_step_1", default = "one")]
    pub k_step_1: Size,
    /// Step above K = 128.
    #[serde(rename = "K_step_2", default = "two")]
    pub k_step_2: Size,
    /// Which of the library's algorithms.
    #[serde(default)]
    pub gemm_algorithms: GemmAlgorithms,
}

impl GemmKDense {
    /// Every K, in ascending order.
    pub fn k_values(&self) -> Vec<usize> {
        self.ks().collect()
    }

    /// The product at one K.
    pub fn shape(&self, k: usize) -> GemmShape {
        GemmShape { m: self.shape.m.get(), n: self.shape.n.get(), k }
    }

    fn ks(&self) -> impl Iterator<Item = usize> {
        self.k_range.stepped(BOUNDARY, self.k_step_1, self.k_step_2)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        check::cases("K_range", self.ks(), self.dtypes.len())?;
        check::gemm("shape", self.shape(self.k_range.hi()))
    }
}

/// G4: products at every N of a range, as a projection of M tokens from K to N features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GemmNDense {
    /// With `m_values`, a curve each.
    pub dtypes: List<DType>,
    /// With `dtypes`, a curve each.
    #[serde(rename = "M_values")]
    pub m_values: List<Size>,
    /// The dimension summed over.
    #[serde(rename = "K")]
    pub k: Size,
    /// First and last N.
    #[serde(rename = "N_range")]
    pub n_range: DimRange,
    /// Step up to N = 128.
    #[serde(rename = "N_step_1", default = "one")]
    pub n_step_1: Size,
    /// Step above N = 128.
    #[serde(rename = "N_step_2", default = "two")]
    pub n_step_2: Size,
    /// Which of the library's algorithms.
    #[serde(default)]
    pub gemm_algorithms: GemmAlgorithms,
}

impl GemmNDense {
    /// Every N, in ascending order.
    pub fn n_values(&self) -> Vec<usize> {
        self.ns().collect()
    }

    /// The product at one M and N.
    pub fn shape(&self, m: Size, n: usize) -> GemmShape {
        GemmShape { m: m.get(), n, k: self.k.get() }
    }

    fn ns(&self) -> impl Iterator<Item = usize> {
        self.n_range.stepped(BOUNDARY, self.n_step_1, self.n_step_2)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        check::cases("N_range", self.ns(), self.dtypes.len().saturating_mul(self.m_values.len()))?;
        let largest = self.n_range.hi();
        self.m_values.iter().try_for_each(|&m| check::gemm("M_values", self.shape(m, largest)))
    }
}
