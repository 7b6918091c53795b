//! A short timing, to choose by: not a measurement.

use crate::device::Cuda;
use crate::device::cuda::Graph;
use crate::ops::error::CaseError;
use crate::ops::plan::Plan;

/// Launches that are timed.
const REPLAYS: usize = 7;

/// The median time of a launch in milliseconds, of a plan that has proved right.
pub fn time_ms(cuda: &Cuda, plan: &mut dyn Plan) -> Result<f64, CaseError> {
    plan.verify()?;
    let graph = Graph::capture(cuda, 1, || plan.launch())?;
    Ok(graph.replay_ns(cuda, REPLAYS)? * 1e-6)
}
