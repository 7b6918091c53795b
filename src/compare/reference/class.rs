//! Classes of cases: what was computed, and which of the card's peaks bounds it.

use crate::results::raw::{Bound, Shape};
use crate::workload::shape::SdpaShape;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a case computes, whatever experiment it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A GEMM, or several one after the other.
    Gemm,
    /// Two linear layers in the place of one.
    LowRankPair,
    /// Attention of many queries.
    Attention,
    /// Attention of one query over a KV cache.
    DecodeAttention,
    /// All operations of a decoder layer.
    WholeLayer,
}

impl Operation {
    fn of(shape: Shape) -> Operation {
        match shape {
            Shape::Gemm(_) => Operation::Gemm,
            Shape::LowRank(_) => Operation::LowRankPair,
            Shape::Layer { .. } => Operation::WholeLayer,
            Shape::Sdpa(SdpaShape { seq_len: 1, .. }) => Operation::DecodeAttention,
            Shape::Sdpa(_) => Operation::Attention,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Operation::Gemm => "GEMM",
            Operation::LowRankPair => "low-rank pair",
            Operation::Attention => "attention",
            Operation::DecodeAttention => "decode attention",
            Operation::WholeLayer => "whole layer",
        }
    }
}

/// Cases that a card should be as fast in as another of its model, or as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Class {
    /// What the cases compute.
    pub operation: Operation,
    /// By the row of the reference, which a slower card does not change; absent where no peak of
    /// that precision was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

impl Class {
    /// Of a row of this shape.
    pub fn of(shape: Shape, bound: Option<Bound>) -> Class {
        Class { operation: Operation::of(shape), bound }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self.bound {
            Some(Bound::Compute) => "compute-bound ",
            Some(Bound::Bandwidth) => "memory-bound ",
            None => "",
        })?;
        f.write_str(self.operation.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_a_model_are_of_the_class_of_their_operation() {
        for (shape, name) in [
            (json!({"M": 1, "N": 4096, "K": 4096}), "compute-bound GEMM"),
            (
                json!({"M": 1, "in_features": 64, "rank": 8, "out_features": 64}),
                "compute-bound low-rank pair",
            ),
            (json!({"operations": 12}), "compute-bound whole layer"),
            (
                json!({"batch": 1, "seq_len": 512, "n_heads": 32, "head_dim": 128}),
                "compute-bound attention",
            ),
            (
                json!({"batch": 1, "seq_len": 1, "kv_len": 4096, "n_heads": 32, "head_dim": 128}),
                "compute-bound decode attention",
            ),
        ] {
            let shape = serde_json::from_value(shape).unwrap();
            assert_eq!(Class::of(shape, Some(Bound::Compute)).to_string(), name);
        }
        let layer = Shape::Layer { operations: 12 };
        assert_eq!(
            Class::of(layer, Some(Bound::Bandwidth)).to_string(),
            "memory-bound whole layer"
        );
        assert_eq!(Class::of(layer, None).to_string(), "whole layer");
    }
}
