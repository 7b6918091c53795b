//! Which dimensions to use, by what was measured.
//!
//! ```text
//! run folders -> Times (one curve) -> Recommendation per dimension -> Advice -> table, JSON, CSV
//! dims, file  -> Vec<Item>         -> budget: one dimension per item
//! ```
//!
//! Nothing is interpolated: a dimension that no run measured has no time here.

#![allow(missing_docs)] // of what its name says

pub mod budget;
pub mod dims_file;
pub mod input;
pub(crate) mod output;
pub mod recommend;
pub mod times;

use anyhow::Result;
use budget::Comparison;
use input::Item;
use recommend::Recommendation;
use serde::Serialize;
use times::{Operation, Times};

use crate::results::raw::Raw;

#[derive(Clone, Debug)]
pub struct Request {
    /// What has the dimension; by the first run if none.
    pub operation: Option<Operation>,
    pub curve: Option<String>,
    pub items: Vec<Item>,
    /// How much larger a recommended dimension may be, as a fraction of its own.
    pub max_overhead: f64,
    /// What the dimensions may add up to, if they are to be chosen together.
    pub budget: Option<usize>,
}

#[derive(Debug, Serialize)]
pub struct Advice {
    pub run_ids: Vec<String>,
    pub device: String,
    pub operation: Operation,
    pub curve: String,
    pub measured_dims: [usize; 2],
    pub max_overhead_pct: f64,
    pub recommendations: Vec<Recommendation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Comparison>,
}

pub fn advise(runs: &[Raw], request: &Request) -> Result<Advice> {
    let times = Times::of(runs, request.operation, request.curve.as_deref())?;
    let recommendations = request
        .items
        .iter()
        .map(|item| recommend::recommend(&times, item, request.max_overhead))
        .collect();
    let compare = |budget| budget::compare(&times, &request.items, request.max_overhead, budget);
    let budget = request.budget.map(compare).transpose()?;
    Ok(Advice {
        measured_dims: times.range(),
        run_ids: times.run_ids,
        device: times.device,
        operation: times.operation,
        curve: times.curve,
        max_overhead_pct: request.max_overhead * 100.0,
        recommendations,
        budget,
    })
}
