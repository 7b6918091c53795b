//! Which dimensions to use, by what was measured.
//!
//! ```text
//! run folders -> Times (one curve) -> Recommendation per dimension -> Advice -> table, JSON, CSV
//! dims, file  -> Vec<Item>         -> budget: one dimension per item
//! ```
//!
//! Nothing is interpolated: a dimension that no run measured has no time here.

pub mod budget;
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

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What has the dimension; by the first run if none.
    pub operation: Option<Operation>,
    /// Which curve; the first if none.
    pub curve: Option<String>,
    /// The dimensions.
    pub items: Vec<Item>,
    /// How much larger a recommended dimension may be, as a fraction of its own.
    pub max_overhead: f64,
    /// What the dimensions may add up to, if they are to be chosen together.
    pub budget: Option<usize>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The runs it follows from.
    pub run_ids: Vec<String>,
    /// Where they ran.
    pub device: String,
    /// What has the dimension.
    pub operation: Operation,
    /// The curve the times are from.
    pub curve: String,
    /// The smallest and the largest dimension with a time.
    pub measured_dims: [usize; 2],
    /// How much larger a recommended dimension may be, in per cent.
    pub max_overhead_pct: f64,
    /// An answer for each item, each on its own, in the order given.
    pub recommendations: Vec<Recommendation>,
    /// An answer for all of them together; absent without a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Comparison>,
}

/// Answers.
///
/// # Errors
/// If the runs have no such curve, are of different devices, or no choice of dimensions fits the
/// budget.
pub fn advise(runs: &[Raw], request: &Request) -> Result<Advice> {
    let times = Times::of(runs, request.operation, request.curve.as_deref())?;
    let recommendations = request
        .items
        .iter()
        .map(|item| recommend::recommend(&times, item, request.max_overhead))
        .collect();
    let compare = |budget| budget::compare(&times, &request.items, request.max_overhead, budget);
    Ok(Advice {
        run_ids: times.run_ids().to_vec(),
        device: times.device().to_owned(),
        operation: times.operation(),
        curve: times.curve().to_owned(),
        measured_dims: times.range(),
        max_overhead_pct: request.max_overhead * 100.0,
        recommendations,
        budget: request.budget.map(compare).transpose()?,
    })
}
