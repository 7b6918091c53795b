//! Cold latency: launches that rotate over sets of operands, so that none finds its own in the L2
//! cache.

use super::instruments::Instruments;
use super::record::{Cold, Spent};
use crate::device::{Clock, Cuda, Mark, cuda::Graph};
use crate::ops::Plan;
use crate::ops::plan::{MAX_SETS, sets_beyond_l2};
use crate::workload::{Case, CaseError, ErrorKind};

/// Cold samples last at least this long.
const COLD_SAMPLE_NS: f64 = 300_000.0;
/// They are averages over many buffers: one trial tells what three would.
const COLD_SAMPLES: usize = 6;

/// The cold latency of `case`, one launch of which takes about `launch_ns`; or why it has none.
pub fn cold(
    with: &Instruments,
    cuda: &Cuda,
    case: &Case,
    launch_ns: f64,
    spent: &mut Spent,
) -> Result<Cold, CaseError> {
    let buffer_sets =
        match buffer_sets(case.operation.bytes(case.dtype), cuda.properties().l2_bytes) {
            Ok(buffer_sets) => buffer_sets,
            Err(reason) => return Ok(Cold::NotApplicable { reason }),
        };
    let planned = (0..buffer_sets).map(|_| Ok(with.plan(case)?.plan)).collect();
    let mut plans: Vec<Box<dyn Plan>> = match planned {
        Ok(plans) => plans,
        Err(CaseError { kind: ErrorKind::OutOfMemory, message }) => {
            return Ok(Cold::NotApplicable { reason: message });
        }
        Err(error) => return Err(error),
    };
    let (samples_ms, gpu_ns) = cold_ms(cuda, with.time.clock(), &mut plans, launch_ns)?;
    spent.gpu_s += gpu_ns * 1e-9;
    Ok(Cold::Samples { buffer_sets, samples_ms })
}

/// Sets of operands of `bytes` each, or why there cannot be any.
fn buffer_sets(bytes: f64, l2_bytes: u64) -> Result<usize, String> {
    let sets = sets_beyond_l2(bytes, l2_bytes);
    if sets <= 1.0 {
        return Err(format!(
            "one set of operands, {:.0} MB, is more than twice the L2 cache of {:.0} MB: no launch \
             finds them there",
            bytes / 1e6,
            l2_bytes as f64 / 1e6
        ));
    }
    if sets > MAX_SETS as f64 {
        return Err(format!(
            "the operands are so small that it takes {sets} sets of them to fill the L2 cache twice"
        ));
    }
    Ok(sets as usize)
}

/// Milliseconds per launch with cold caches: graphs in which each of `plans`, the same operation on
/// buffers of its own, takes its turn. The second value is the GPU's time in nanoseconds.
pub fn cold_ms(
    cuda: &Cuda,
    clock: &Clock,
    plans: &mut [Box<dyn Plan>],
    launch_ns: f64,
) -> Result<(Vec<f64>, f64), CaseError> {
    let turns = (COLD_SAMPLE_NS / (launch_ns * plans.len() as f64)).ceil().max(1.0) as usize;
    let graph =
        Graph::capture(cuda, turns, || plans.iter_mut().try_for_each(|plan| plan.launch()))?;
    let launches = (turns * plans.len()) as f64;
    // The first replay is not recorded: it may find what was there before in the cache.
    let marks = (0..=COLD_SAMPLES).map(|_| {
        let start = clock.mark()?;
        graph.launch()?;
        Ok((start, clock.mark()?))
    });
    let marks: Vec<(Mark, Mark)> = marks.collect::<Result<_, CaseError>>()?;
    let times_ns = clock.elapsed_each_ns(&marks)?;
    let samples = times_ns[1..].iter().map(|time_ns| time_ns.max(1.0) / launches * 1e-6);
    Ok((samples.collect(), times_ns.iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::buffer_sets;

    #[test]
    fn cold_buffers_fill_the_cache_twice() {
        let l2_bytes = 60_000_000;
        assert_eq!(buffer_sets(9.4e6, l2_bytes), Ok(13));
        assert_eq!(buffer_sets(119e6, l2_bytes), Ok(2));
        assert!(buffer_sets(120e6, l2_bytes).unwrap_err().contains("120 MB"));
        assert!(buffer_sets(1e3, l2_bytes).unwrap_err().contains("120000 sets"));
    }
}
