//! What a row of raw.json is of.

use crate::workload::Precision;
use crate::workload::shape::{GemmShape, LowRankShape, SdpaShape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// `group/series/point`: Criterion's id.
    pub case_id: String,
    pub series: String,
    pub curve: String,
    pub dim: usize,
    #[serde(flatten)]
    pub labels: Map<String, Value>,
    pub shape: Shape,
    pub dtype: Precision,
}

/// A shape as the backend sees it, padding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    /// A GEMM, or several of one M and K with the sum of their N.
    Gemm(GemmShape),
    LowRank(LowRankShape),
    Layer {
        operations: usize,
    },
    Sdpa(SdpaShape),
}

impl Point {
    pub fn text(&self, label: &str) -> Option<&str> {
        self.labels.get(label)?.as_str()
    }

    pub fn number(&self, label: &str) -> Option<f64> {
        self.labels.get(label)?.as_f64()
    }
}
