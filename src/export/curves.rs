//! Points that differ in one dimension and nothing else, from all runs.

use super::shape::{batch_of, causal_of, layout_of};
use super::source::Source;
use crate::advise::times::operation_of;
use crate::results::raw::{Measured, Row, Shape};
use crate::results::view::Axis;
use crate::workload::Precision;
use crate::workload::provider::Provider;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the points of a curve have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    pub axis: Axis,
    pub dtype: Precision,
    /// None of attention by kernels of ours and cuDNN called by us: one curve may have both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The backend that was asked for; of an attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Whether ours ran under a name of PyTorch's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// GEMMs of this shape in one launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// As in raw.json, without the dimension of the axis.
    #[serde(serialize_with = "without_dimension")]
    pub shape: Shape,
}

pub struct Curve<'a> {
    pub problem: Problem,
    /// As a legend has it.
    pub name: &'a str,
    /// The rows by dimension. Where several runs have one, the first counts.
    pub rows: BTreeMap<usize, &'a Measured>,
}

/// All curves that there is advice for, in the order of the runs.
pub fn curves(sources: &[Source]) -> Vec<Curve<'_>> {
    let mut curves: IndexMap<Problem, Curve> = IndexMap::new();
    for Source { raw, .. } in sources {
        for row in &raw.measurements {
            let (Some(axis), Row::Measured(measured)) = (operation_of((raw, row)), row) else {
                continue;
            };
            let point = &measured.point;
            let is_attention = matches!(point.shape, Shape::Sdpa(_));
            let problem = Problem {
                axis,
                dtype: point.dtype,
                provider: Some(measured.provider).filter(|provider| {
                    !is_attention || !matches!(provider, Provider::NightSweep | Provider::Cudnn)
                }),
                stand_in: measured.stand_in,
                backend: is_attention.then(|| row.backend().to_owned()),
                causal: causal_of(point),
                layout: layout_of(raw, point),
                batch: batch_of(point).filter(|_| !is_attention),
                shape: axis.rest(point.shape),
            };
            let curve =
                || Curve { problem: problem.clone(), name: &point.curve, rows: BTreeMap::new() };
            let curve = curves.entry(problem.clone()).or_insert_with(curve);
            curve.rows.entry(point.dim).or_insert(measured);
        }
    }
    curves.into_values().collect()
}

/// [`Axis::rest`] leaves the dimension 0, which no other is.
fn without_dimension<S: Serializer>(shape: &Shape, serializer: S) -> Result<S::Ok, S::Error> {
    let value = serde_json::to_value(shape).map_err(serde::ser::Error::custom)?;
    let Value::Object(mut keys) = value else { return Map::new().serialize(serializer) };
    keys.retain(|_, size| size != 0);
    keys.serialize(serializer)
}
