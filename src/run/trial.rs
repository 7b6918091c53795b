//! A trial: one case in one trial, from its plan to its samples, through Criterion.

use crate::criterion::hush::Hush;
use crate::criterion::recorder::{Recorder, bench, group_of};
use crate::device::clocks::Clocks;
use crate::device::error::CaseError;
use crate::device::error::ErrorKind;
use crate::device::{Cuda, Device, Telemetry};
use crate::journal::record::{Failure, Line};
use crate::measure::record::{Cold, Protocol, Ran, Secondary, Spent, Trial};
use crate::measure::{DeviceTime, Sampler, Sampling, cold_ms};
use crate::ops::plan::Plan;
use crate::ops::planner::Planner;
use crate::ops::sdpa;
use crate::stats::median;
use crate::workload::case::Case;
use criterion::Criterion;
use criterion::measurement::Measurement;
use std::time::Instant;

/// What a trial needs, whichever case it is.
pub struct Visitor {
    /// Where to measure.
    pub device: Device,
    /// Makes the plans.
    pub planner: Planner,
    /// Criterion's clock.
    pub time: DeviceTime,
    /// Launches and trials.
    pub protocol: Protocol,
    /// The card's state, where NVML tells it.
    pub telemetry: Option<Telemetry>,
}

/// Which trial, and what came before.
pub struct Which<'a> {
    /// From 0.
    pub number: usize,
    /// In the last trial Criterion gets the samples of all trials, and is heard.
    pub last: bool,
    /// The trials of this case in the earlier trials.
    pub earlier: &'a [&'a Trial],
}

/// Where its operands lie in memory changes a product's time by up to 10 % on an H200: each trial has them that much further
/// on, so that the trials tell of it instead of all sharing one place.
const SHIFT_BYTES: usize = 38 << 20;

/// Sets of buffers that cold launches rotate over have to be this many L2 caches in all.
const COLD_L2_CACHES: f64 = 2.0;
/// Sets that are made at most: more means operands so small that planning them would take longer than the rest.
const MAX_BUFFER_SETS: usize = 256;

impl Visitor {
    /// Times `case`, and returns the line for the journal.
    ///
    /// # Errors
    /// If the output streams cannot be redirected. A case that cannot be timed is no error but a [`Failure`].
    pub fn trial(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
        which: &Which,
    ) -> std::io::Result<Line> {
        let (started_at, start) = (jiff::Timestamp::now(), Instant::now());
        let hush = if which.last { Hush::Status } else { Hush::All };
        let timed = hush.during(|| self.time_case(criterion, case, which))?;
        Ok(match timed {
            Ok(timed) => Line::Trial(Box::new(Trial {
                case_id: case.id.clone(),
                trial: which.number,
                started_at: started_at.to_string(),
                wall_s: start.elapsed().as_secs_f64(),
                samples_ms: timed.samples_ms,
                launches_per_sample: timed.launches_per_sample,
                warmup_launches: timed.warmup_launches,
                ran: timed.ran,
                secondary: timed.secondary,
                clocks: timed.clocks,
                spent: timed.spent,
            })),
            Err(CaseError { kind, message }) => Line::Failure(Failure {
                case_id: case.id.clone(),
                trial: which.number,
                error_kind: kind,
                error: message,
            }),
        })
    }

    /// Prepares and verifies `case`, then launches it once through Criterion: for `--test` and `--profile-time`.
    ///
    /// # Errors
    /// Why the case does not run.
    pub fn try_once(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
    ) -> Result<(), CaseError> {
        let mut planned = self.planner.plan(case)?;
        planned.plan.verify()?;
        let plan = planned.plan.as_mut();
        let time = &self.time;
        bench(&mut group_of(criterion, case), case, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = time.start();
                let launched = (0..iterations).try_for_each(|_| plan.launch());
                let elapsed_ns = time.end(start);
                time.value_or_fault(launched.map(|()| elapsed_ns))
            });
        });
        time.take_fault().map_or(Ok(()), Err)
    }

    fn time_case(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
        which: &Which,
    ) -> Result<Timed, CaseError> {
        let mut spent = Spent::default();
        // Kept until the trial ends.
        let _in_the_way = match &self.device {
            Device::Cuda(cuda) if which.number > 0 => {
                cuda.alloc::<u8>(which.number * SHIFT_BYTES).ok()
            }
            _ => None,
        };
        let mut planned = timing(&mut spent.planning_s, || self.planner.plan(case))?;
        if let Device::Cuda(cuda) = &self.device {
            timing(&mut spent.filling_s, || cuda.synchronize())?;
        }
        let verification = timing(&mut spent.verifying_s, || planned.plan.verify())?;
        let algorithm = planned.plan.algorithm();

        let start = Instant::now();
        // Trials are pooled, so they have to agree on what a sample is.
        let known = which
            .earlier
            .first()
            .and_then(|trial| Some((trial.launches_per_sample, median(&trial.samples_ms)? * 1e6)));
        let clock = self.time.clock();
        let mut sampler = Sampler::prepare(&self.device, clock, planned.plan.as_mut(), known)?;
        let kernels = sampler.kernels()?;
        let (backend_selected, backend_reason) = match planned.backend {
            Some(chosen) => {
                sdpa::prove(&chosen, &kernels)?;
                (Some(chosen.route.backend.name().to_owned()), Some(chosen.reason))
            }
            None => (None, None),
        };
        let earlier = if which.last { which.earlier } else { &[] };
        let earlier_ms: Vec<f64> =
            earlier.iter().flat_map(|trial| &trial.samples_ms).copied().collect();
        let protocol = match case.variant {
            None => self.protocol,
            Some(_) => self.protocol.of_variants(),
        };
        let sampling =
            Sampling::of(&protocol, sampler.launches_per_sample, sampler.launch_ns, &earlier_ms);
        let secondary = match &self.device {
            // A variant is there to be compared with its row: the number of record does.
            Device::Cuda(cuda) if case.variant.is_none() && sampling.isolated > 0 => {
                let first = which.earlier.is_empty();
                Some(self.secondary(cuda, case, &mut sampler, &sampling, first, &mut spent)?)
            }
            _ => None,
        };
        spent.measuring_s += start.elapsed().as_secs_f64();
        let mut recorder = Recorder::new(&self.time, sampler, sampling, &earlier_ms);
        recorder.run(criterion, case);
        if let Some(fault) = self.time.take_fault() {
            return Err(fault);
        }
        if recorder.samples_ms.is_empty() {
            return Err(CaseError {
                kind: ErrorKind::Skipped,
                message: "Criterion took no sample".to_owned(),
            });
        }
        let ran = Ran { kernels, backend_selected, backend_reason, verification, algorithm };
        spent.measuring_s += recorder.measuring_s;
        spent.gpu_s += recorder.sampler.gpu_ns * 1e-9;
        Ok(Timed {
            clocks: self.clocks(&recorder),
            samples_ms: recorder.samples_ms,
            launches_per_sample: recorder.sampler.launches_per_sample,
            warmup_launches: recorder.warmup_launches,
            ran,
            secondary,
            spent,
        })
    }

    /// The other ways to time the plan of `sampler`. They come before the samples of record, which they help to warm up.
    fn secondary(
        &self,
        cuda: &Cuda,
        case: &Case,
        sampler: &mut Sampler,
        sampling: &Sampling,
        is_first_trial: bool,
        spent: &mut Spent,
    ) -> Result<Secondary, CaseError> {
        let isolated_ms = sampler.isolated_ms(sampling.isolated)?;
        let (per_call_ms, enqueue_us) = sampler.per_call_ms(sampling.per_call)?;
        let cold = match is_first_trial {
            true => Some(self.cold(cuda, case, sampler.launch_ns, spent)?),
            false => None,
        };
        Ok(Secondary { isolated_ms, per_call_ms, enqueue_us, cold })
    }

    fn cold(
        &self,
        cuda: &Cuda,
        case: &Case,
        launch_ns: f64,
        spent: &mut Spent,
    ) -> Result<Cold, CaseError> {
        let buffer_sets = match buffer_sets(case.operation.bytes(), cuda.properties().l2_bytes) {
            Ok(buffer_sets) => buffer_sets,
            Err(reason) => return Ok(Cold::NotApplicable { reason }),
        };
        let planned = (0..buffer_sets).map(|_| Ok(self.planner.plan(case)?.plan)).collect();
        let mut plans: Vec<Box<dyn Plan>> = match planned {
            Ok(plans) => plans,
            Err(CaseError { kind: ErrorKind::OutOfMemory, message }) => {
                return Ok(Cold::NotApplicable { reason: message });
            }
            Err(error) => return Err(error),
        };
        let (samples_ms, gpu_ns) = cold_ms(cuda, self.time.clock(), &mut plans, launch_ns)?;
        spent.gpu_s += gpu_ns * 1e-9;
        Ok(Cold::Samples { buffer_sets, samples_ms })
    }

    /// The card while the samples were taken: read by NVML, and counted by an SM.
    fn clocks(&self, recorder: &Recorder) -> Option<Clocks> {
        let read = self.telemetry.as_ref()?.since(recorder.started?)?;
        Some(Clocks { counted_sm_mhz: recorder.sampler.cycles.mhz(), ..read })
    }
}

/// Sets of operands of `bytes` each for cold launches.
///
/// # Errors
/// Why there cannot be any.
fn buffer_sets(bytes: f64, l2_bytes: u64) -> Result<usize, String> {
    let needed = COLD_L2_CACHES * l2_bytes as f64;
    if bytes >= needed {
        return Err(format!(
            "one set of operands, {:.0} MB, is more than twice the L2 cache of {:.0} MB: no launch finds them there",
            bytes / 1e6,
            l2_bytes as f64 / 1e6
        ));
    }
    let sets = (needed / bytes).ceil();
    if sets > MAX_BUFFER_SETS as f64 {
        return Err(format!(
            "the operands are so small that it takes {sets} sets of them to fill the L2 cache twice"
        ));
    }
    Ok(sets as usize)
}

/// Adds to `seconds` what `work` takes.
fn timing<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *seconds += start.elapsed().as_secs_f64();
    done
}

struct Timed {
    samples_ms: Vec<f64>,
    launches_per_sample: usize,
    warmup_launches: usize,
    ran: Ran,
    secondary: Option<Secondary>,
    clocks: Option<Clocks>,
    spent: Spent,
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
