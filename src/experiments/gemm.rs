//! What the types that sweep a dimension of a GEMM share.

use crate::workload::case::Case;
use crate::workload::operation::{Gemm, Operation};
use crate::workload::shape::{DType, GemmShape};
use serde::{Deserialize, Serialize};

/// Which algorithms of the library are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GemmAlgorithms {
    #[default]
    Chosen,
    /// That, and as the variant `best_algorithm` the fastest of all it offers.
    Best,
}

/// A curve of GEMMs: its series, the middle part of its ids, and its legend.
pub struct Line<'a> {
    pub group: &'a str,
    pub series: String,
    pub legend: String,
    pub dtype: DType,
    pub dim: &'a str,
}

impl Line<'_> {
    /// The row of a GEMM for each value of the swept dimension, and its variant if there is one.
    pub fn cases(
        self,
        algorithms: GemmAlgorithms,
        values: impl Iterator<Item = usize>,
        shape: impl Fn(usize) -> GemmShape,
    ) -> impl Iterator<Item = Case> {
        let Line { group, series, legend, dtype, dim } = self;
        values.flat_map(move |value| {
            let gemm = Gemm::dense(shape(value));
            let point = format!("{dim}{value}");
            let row = Case::row(group, &series, &point, value, dtype, Operation::Gemm(gemm))
                .on_curve(&*legend);
            let best = (algorithms == GemmAlgorithms::Best)
                .then(|| row.variant("best_algorithm", Operation::GemmBest(gemm)));
            [row].into_iter().chain(best)
        })
    }
}
