//! What a row computes, beyond its shape: what raw.json leaves out where it is the default.

use crate::experiments;
use crate::results::raw::{Point, Raw, Shape};
use crate::results::view::Layout;
use crate::workload::matrix::GemmLayout;
use serde_json::Value;

/// How A and B of GEMMs are stored; none of an attention and a whole layer.
pub fn layout_of(raw: &Raw, point: &Point) -> Option<String> {
    let default = match point.shape {
        // A linear layer.
        Shape::LowRank(_) => GemmLayout::Nt,
        Shape::Gemm(_) if is_model(raw) => GemmLayout::Nt,
        Shape::Gemm(_) => GemmLayout::Nn,
        Shape::Layer { .. } | Shape::Sdpa(_) => return None,
    };
    Some(point.text("layout").unwrap_or(default.name()).to_owned())
}

/// GEMMs of this shape in one launch; sequences of an attention.
pub fn batch_of(point: &Point) -> Option<usize> {
    match point.shape {
        Shape::Gemm(_) => Some(point.number("batch").map_or(1, |batch| batch as usize)),
        Shape::Sdpa(shape) => Some(shape.batch),
        Shape::LowRank(_) | Shape::Layer { .. } => None,
    }
}

/// Whether keys after the query are masked; none of what is no attention.
pub fn causal_of(point: &Point) -> Option<bool> {
    let is_causal = point.labels.get("causal").and_then(Value::as_bool).unwrap_or(false);
    matches!(point.shape, Shape::Sdpa(_)).then_some(is_causal)
}

/// Whether a run is of a model's layers: linear ones, with operands from memory.
pub fn is_model(raw: &Raw) -> bool {
    matches!(experiments::view(&raw.config).layout, Layout::Model)
}
