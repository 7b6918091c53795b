//! A short timing, to choose by: not a measurement.

use crate::device::Clock;
use crate::device::Cuda;
use crate::device::cuda::Graph;
use crate::plan::{CaseError, Plan};

/// Launches that are timed, after as many that are not.
const LAUNCHES: usize = 7;
/// The GPU spins this long before the first, so that none waits for the host.
const LEAD_IN_NS: u64 = 20_000;

/// The median time of a launch in milliseconds, of a plan that has proved right.
///
/// # Errors
/// A wrong result, or what the driver or the library reports.
pub fn time_ms(cuda: &Cuda, plan: &mut dyn Plan) -> Result<f64, CaseError> {
    plan.verify()?;
    let graph = Graph::capture(cuda, 1, || plan.launch())?;
    (0..LAUNCHES).try_for_each(|_| graph.launch())?;
    cuda.kernels().spin(cuda.stream(), LEAD_IN_NS)?;
    let clock = Clock::events(cuda.stream().clone());
    let marks: Vec<_> = (0..LAUNCHES)
        .map(|_| {
            let start = clock.mark()?;
            graph.launch()?;
            Ok((start, clock.mark()?))
        })
        .collect::<Result<_, CaseError>>()?;
    let times_ns: Result<Vec<f64>, CaseError> =
        marks.iter().map(|(start, end)| clock.elapsed_ns(start, end)).collect();
    let mut times_ns = times_ns?;
    times_ns.sort_by(f64::total_cmp);
    Ok(times_ns[LAUNCHES / 2] * 1e-6)
}
