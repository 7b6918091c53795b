//! What the types that sweep a dimension of a GEMM share.

use crate::workload::case::Case;
use crate::workload::operation::{Gemm, Operation};
use crate::workload::shape::{DType, GemmShape};
use serde::{Deserialize, Serialize};

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

/// A curve of GEMMs as its cases have it.
pub struct Curve<'a> {
    /// First part of the ids.
    pub group: &'a str,
    /// Their middle part.
    pub series: String,
    /// As a legend names it.
    pub legend: String,
    /// Element type.
    pub dtype: DType,
    /// What the swept dimension is called.
    pub dim: &'a str,
}

impl GemmAlgorithms {
    /// The row of a GEMM whose swept dimension is `value`, and its variant if there is one.
    pub fn cases(self, curve: &Curve, value: usize, shape: GemmShape) -> Vec<Case> {
        let Curve { group, series, legend, dtype, dim } = curve;
        let gemm = Gemm::dense(shape);
        let point = format!("{dim}{value}");
        let row = Case::row(group, series, &point, value, *dtype, Operation::Gemm(gemm))
            .on_curve(&**legend);
        match self {
            GemmAlgorithms::Chosen => vec![row],
            GemmAlgorithms::Best => {
                let best = row.variant("best_algorithm", Operation::GemmBest(gemm));
                vec![row, best]
            }
        }
    }
}
