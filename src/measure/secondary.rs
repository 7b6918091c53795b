//! Secondary timings on a GPU: the same launches isolated, per call, and with cold caches. They are
//! made in a pass of their own, after all trials: launches with cold caches lower the clock of the
//! cases around them (by 1 % on an H100), and the trials of a case should differ in nothing but
//! their placement.

use super::Sampler;
use super::cold::cold;
use super::instruments::{Instruments, Which};
use super::record::{ProtocolKind, Secondary, Spent};
use super::trial::timing;
use crate::device::{Cuda, Device, Mark};
use crate::workload::{Case, CaseError};
use std::ops::RangeInclusive;
use std::time::Instant;

/// What single launches may take, in all: long ones are fewer.
const ISOLATED_NS: f64 = 2.1e6;
const PER_CALL_NS: f64 = 9e5;
/// How many there are of them. 102 are six batches that the GPU is held back for.
const ISOLATED: RangeInclusive<usize> = 30..=102;
const PER_CALL: RangeInclusive<usize> = 15..=36;
/// The adaptive protocol takes one for so many.
const ADAPTIVE_SHARE: usize = 8;

/// Launches held back at once: far below the thousand or so at which the driver makes the host
/// wait, even if one is ten kernels.
const HELD_BACK: usize = 17;
/// Batches given up because the host was too slow, before the rest is.
const SLOW_BATCHES: usize = 3;

/// Times `case` in other ways; `which` has its trials.
pub fn secondary(
    with: &Instruments,
    cuda: &Cuda,
    kind: ProtocolKind,
    case: &Case,
    which: Which,
) -> Result<Secondary, CaseError> {
    let (start, mut spent) = (Instant::now(), Spent::default());
    let mut planned = timing(&mut spent.planning_s, || with.plan(case))?;
    timing(&mut spent.filling_s, || with.device.synchronize())?;
    let measuring = Instant::now();
    let clock = with.time.clock();
    let mut sampler = Sampler::prepare(&with.device, clock, planned.plan.as_mut(), which.known())?;
    let launch_ns = sampler.launch_ns;
    let isolated_ms = sampler.isolated_ms(single(kind, launch_ns, ISOLATED_NS, ISOLATED))?;
    let (per_call_ms, enqueue_us) =
        sampler.per_call_ms(single(kind, launch_ns, PER_CALL_NS, PER_CALL))?;
    spent.gpu_s += sampler.gpu_ns * 1e-9;
    let cold = cold(with, cuda, case, launch_ns, &mut spent)?;
    spent.measuring_s = measuring.elapsed().as_secs_f64();
    Ok(Secondary {
        case_id: case.id.clone(),
        isolated_ms,
        cold,
        per_call_ms,
        enqueue_us,
        wall_s: start.elapsed().as_secs_f64(),
        spent,
    })
}

/// How many single launches there are.
fn single(kind: ProtocolKind, launch_ns: f64, all_ns: f64, count: RangeInclusive<usize>) -> usize {
    let full = ((all_ns / launch_ns) as usize).clamp(*count.start(), *count.end());
    match kind {
        ProtocolKind::Standard => full,
        ProtocolKind::Adaptive => full.div_ceil(ADAPTIVE_SHARE),
        ProtocolKind::Gate => 0,
    }
}

impl Sampler<'_> {
    /// Milliseconds between two events around single launches, all of them enqueued before the GPU
    /// starts with the first: the host is not in them, what an event and a launch cost the GPU is.
    /// Empty on the CPU; fewer than asked for on a host too busy to enqueue a few in milliseconds.
    pub fn isolated_ms(&mut self, count: usize) -> Result<Vec<f64>, CaseError> {
        let Device::Cuda(cuda) = self.device else { return Ok(Vec::new()) };
        let (mut times_ms, mut slow) = (Vec::with_capacity(count), 0);
        while times_ms.len() < count && slow < SLOW_BATCHES {
            let mut marks = Vec::new();
            let batch = HELD_BACK.min(count - times_ms.len());
            let held = cuda.held_back(|| {
                (0..batch).try_for_each(|_| {
                    marks.push(self.timed_call()?);
                    Ok::<_, CaseError>(())
                })
            })?;
            let batch_ms = self.elapsed_ms(&marks)?;
            if held {
                times_ms.extend(batch_ms);
            } else {
                slow += 1;
            }
        }
        Ok(times_ms)
    }

    /// Milliseconds between two events around single launches on a GPU that has nothing else to do,
    /// and the median microseconds that the host needs to enqueue one. Empty on the CPU.
    pub fn per_call_ms(&mut self, count: usize) -> Result<(Vec<f64>, f64), CaseError> {
        let Device::Cuda(cuda) = self.device else { return Ok((Vec::new(), 0.0)) };
        let (mut times_ms, mut enqueue_us) = (Vec::with_capacity(count), Vec::new());
        for _ in 0..count {
            cuda.synchronize()?;
            let start = self.clock.mark()?;
            let before = Instant::now();
            self.plan.launch()?;
            enqueue_us.push(before.elapsed().as_secs_f64() * 1e6);
            let marks = [(start, self.clock.mark()?)];
            self.launches += 1;
            times_ms.extend(self.elapsed_ms(&marks)?);
        }
        enqueue_us.sort_by(f64::total_cmp);
        let median_us = enqueue_us.get(count / 2).copied().unwrap_or_default();
        Ok((times_ms, median_us))
    }

    fn timed_call(&mut self) -> Result<(Mark, Mark), CaseError> {
        let start = self.clock.mark()?;
        self.plan.launch()?;
        self.launches += 1;
        Ok((start, self.clock.mark()?))
    }

    fn elapsed_ms(&mut self, marks: &[(Mark, Mark)]) -> Result<Vec<f64>, CaseError> {
        let times_ns = self.clock.elapsed_each_ns(marks)?;
        self.gpu_ns += times_ns.iter().sum::<f64>();
        Ok(times_ns.into_iter().map(|time_ns| time_ns.max(1.0) * 1e-6).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_launches_are_timed_singly_less_often() {
        let isolated = |kind, launch_ns| single(kind, launch_ns, ISOLATED_NS, ISOLATED);
        assert_eq!(isolated(ProtocolKind::Standard, 5e3), 102);
        assert_eq!(isolated(ProtocolKind::Standard, 40e3), 52);
        assert_eq!(isolated(ProtocolKind::Standard, 1e9), 30);
        assert_eq!(isolated(ProtocolKind::Adaptive, 5e3), 13);
        assert_eq!(isolated(ProtocolKind::Adaptive, 1e9), 4);
        assert_eq!(isolated(ProtocolKind::Gate, 5e3), 0);
    }
}
