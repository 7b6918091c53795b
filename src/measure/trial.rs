//! The protocol: [`trial`] measures one case once, from its plan to its samples, and reads from top to bottom.

use super::cold::cold;
use super::fault::Injector;
use super::record::{Protocol, Ran, Secondary, Spent, Trial};
use super::{DeviceTime, Sampler, Sampling};
use crate::device::clocks::Clocks;
use crate::device::error::CaseError;
use crate::device::{Device, Telemetry};
use crate::ops::planner::{Planned, Planner};
use crate::ops::sdpa;
use crate::stats::median;
use crate::workload::case::Case;
use std::time::Instant;

/// What every trial is made with.
pub struct Instruments {
    /// Where to measure.
    pub device: Device,
    /// Makes the plans.
    pub planner: Planner,
    /// The clock, which is Criterion's too.
    pub time: DeviceTime,
    /// The card's state, where NVML tells it.
    pub telemetry: Option<Telemetry>,
    /// Fault injection, where it was asked for.
    pub injector: Option<Injector>,
}

/// Which trial of a case.
#[derive(Clone, Copy)]
pub struct Which<'a> {
    /// From 0.
    pub number: usize,
    /// Whether no other follows: the adaptive protocol then takes as many samples as are missing.
    pub is_last: bool,
    /// Those of this case before it.
    pub earlier: &'a [Trial],
}

/// Buffer placement changes the time of a GEMM by up to 10 % on an H200. Each trial has its operands that much further
/// on, so that the trials show it instead of all sharing one place.
const SHIFT_BYTES: usize = 38 << 20;

/// Measures `case`.
///
/// # Errors
/// Why it has no time: its shape is unsupported, its result wrong, or the device reports an error.
pub fn trial(
    with: &Instruments,
    protocol: Protocol,
    case: &Case,
    which: Which,
) -> Result<Trial, CaseError> {
    let (started_at, start) = (jiff::Timestamp::now(), Instant::now());
    let mut spent = Spent::default();

    // Plan and data, at another place in memory than in the trial before. The result has to be right.
    let _kept_until_the_end = with.shift(which.number);
    let mut planned = timing(&mut spent.planning_s, || with.plan(case))?;
    timing(&mut spent.filling_s, || with.device.synchronize())?;
    let verification = timing(&mut spent.verifying_s, || planned.plan.verify())?;
    let algorithm = planned.plan.algorithm();

    // How many launches are a sample: the same number in every trial, as their samples are pooled.
    let measuring = Instant::now();
    let known = which
        .earlier
        .first()
        .and_then(|first| Some((first.launches_per_sample, median(&first.samples_ms)? * 1e6)));
    let clock = with.time.clock();
    let mut sampler = Sampler::prepare(&with.device, clock, planned.plan.as_mut(), known)?;

    // The captured graph says which kernels run; a backend that was asked for has to be among them.
    let kernels = sampler.kernels()?;
    if let Some(chosen) = &planned.backend {
        sdpa::prove(chosen, &kernels)?;
    }

    // The secondary timings come first: they warm up what the samples need warm. A variant has none, as it is there to
    // be compared with the latency of its row.
    let protocol = if case.variant.is_none() { protocol } else { protocol.of_variants() };
    let sampling = Sampling::of(&protocol, &sampler, which);
    let secondary = match case.variant {
        None if sampling.isolated > 0 => {
            secondary(with, case, &mut sampler, sampling, which, &mut spent)?
        }
        _ => None,
    };

    // The latency: all samples are enqueued at once, so that the device does not fall idle between two.
    let sampling_from = Instant::now();
    sampler.warm_up(sampling.warmup)?;
    let warmup_launches = sampler.launches;
    let samples_ms = sampler.take(sampling.samples)?;

    spent.measuring_s = measuring.elapsed().as_secs_f64();
    spent.gpu_s += sampler.gpu_ns * 1e-9;
    let (launches_per_sample, mhz) = (sampler.launches_per_sample, sampler.cycles.mhz());
    let clocks = with.telemetry.as_ref().and_then(|telemetry| telemetry.since(sampling_from));
    let (backend_selected, backend_reason) = planned
        .backend
        .map(|chosen| (chosen.route.backend.name().to_owned(), chosen.reason))
        .unzip();
    Ok(Trial {
        case_id: case.id.clone(),
        trial: which.number,
        started_at: started_at.to_string(),
        wall_s: start.elapsed().as_secs_f64(),
        samples_ms,
        launches_per_sample,
        warmup_launches,
        ran: Ran { kernels, backend_selected, backend_reason, verification, algorithm },
        secondary,
        clocks: clocks.map(|clocks| Clocks { counted_sm_mhz: mhz, ..clocks }),
        spent,
    })
}

/// Isolated and per-call latency, and in the first trial cold latency; none on the CPU.
fn secondary(
    with: &Instruments,
    case: &Case,
    sampler: &mut Sampler,
    sampling: Sampling,
    which: Which,
    spent: &mut Spent,
) -> Result<Option<Secondary>, CaseError> {
    let Device::Cuda(cuda) = &with.device else { return Ok(None) };
    let isolated_ms = sampler.isolated_ms(sampling.isolated)?;
    let (per_call_ms, enqueue_us) = sampler.per_call_ms(sampling.per_call)?;
    let cold = match which.earlier.is_empty() {
        true => Some(cold(with, cuda, case, sampler.launch_ns, spent)?),
        false => None,
    };
    Ok(Some(Secondary { isolated_ms, cold, per_call_ms, enqueue_us }))
}

impl Instruments {
    /// The plan of a case, with the fault that is to be injected into it.
    ///
    /// # Errors
    /// Why this case cannot be timed on this device.
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let planned = self.planner.plan(case)?;
        match &self.injector {
            None => Ok(planned),
            Some(injector) => {
                let plan = injector.apply(&case.id, planned.plan)?;
                Ok(Planned { plan, ..planned })
            }
        }
    }

    /// Whether nothing can be launched in this process any more: after an illegal address, say, every further call of
    /// the driver fails.
    pub fn is_lost(&self) -> bool {
        self.injector.as_ref().is_some_and(Injector::is_lost) || self.device.is_lost()
    }

    /// Memory that is in the way of the operands of a trial; none where there is too little of it.
    fn shift(&self, trial: usize) -> Option<impl Sized> {
        match &self.device {
            Device::Cuda(cuda) if trial > 0 => cuda.alloc::<u8>(trial * SHIFT_BYTES).ok(),
            _ => None,
        }
    }
}

/// Adds to `seconds` what `work` takes.
fn timing<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *seconds += start.elapsed().as_secs_f64();
    done
}
