//! The protocol: [`trial`] measures one case once, and reads from top to bottom.

use super::instruments::{Instruments, Which};
use super::record::{Protocol, Ran, Spent, Trial};
use super::{Sampler, Sampling};
use crate::device::Clocks;
use crate::ops::sdpa;
use crate::units::now;
use crate::workload::{Case, CaseError};
use std::time::Instant;

/// Measures `case`; an error says why it has no time.
pub fn trial(
    with: &Instruments,
    protocol: Protocol,
    case: &Case,
    which: Which,
) -> Result<Trial, CaseError> {
    let (started_at, start) = (now(), Instant::now());
    let mut spent = Spent::default();

    // Plan and data, at another place in memory than before. The result has to be right.
    let _kept_until_the_end = with.shift(which.number);
    let mut planned = timing(&mut spent.planning_s, || with.plan(case))?;
    timing(&mut spent.filling_s, || with.device.synchronize())?;
    let verification = timing(&mut spent.verifying_s, || planned.plan.verify())?;
    let (provider, algorithm) = (planned.provider, planned.plan.algorithm());

    // How many launches are a sample: the same number in every trial, as their samples are pooled.
    let measuring = Instant::now();
    let known = which.known();
    let clock = with.time.clock();
    let mut sampler = Sampler::prepare(&with.device, clock, planned.plan.as_mut(), known)?;

    // The captured graph says which kernels run; a backend that was asked for has to be among them.
    let kernels = sampler.kernels()?;
    let chosen = planned.backend.map(|chosen| sdpa::proven(chosen, &kernels)).transpose()?;

    // A variant is only compared with its row.
    let protocol = if case.variant.is_none() { protocol } else { protocol.of_variants() };
    let sampling = Sampling::of(&protocol, &sampler);

    // The latency: all samples are enqueued at once, so that the device does not fall idle.
    let sampling_from = Instant::now();
    sampler.warm_up(sampling.warmup)?;
    let warmup_launches = sampler.launches;
    let samples_ms = sampler.take(sampling.samples)?;
    let clocks = with.telemetry.as_ref().and_then(|telemetry| telemetry.since(sampling_from));
    spent.measuring_s = measuring.elapsed().as_secs_f64();
    spent.gpu_s += sampler.gpu_ns * 1e-9;
    let (launches_per_sample, mhz) = (sampler.launches_per_sample, sampler.cycles.mhz());
    let ran = Ran {
        provider,
        kernels,
        backend_selected: chosen.as_ref().map(|it| it.route.backend.name().to_owned()),
        stand_in: chosen.as_ref().is_some_and(|it| it.stand_in),
        padded_to: chosen.as_ref().and_then(|it| it.route.pad_to),
        backend_reason: chosen.map(|it| it.reason),
        verification,
        algorithm,
        pytorch: with.planner.versions_of(provider),
    };
    Ok(Trial {
        case_id: case.id.clone(),
        trial: which.number,
        started_at: started_at.to_string(),
        wall_s: start.elapsed().as_secs_f64(),
        samples_ms,
        launches_per_sample,
        warmup_launches,
        ran,
        clocks: clocks.map(|clocks| Clocks { counted_sm_mhz: mhz, ..clocks }),
        spent,
    })
}

/// Adds to `seconds` what `work` takes.
pub(super) fn timing<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *seconds += start.elapsed().as_secs_f64();
    done
}
