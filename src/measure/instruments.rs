//! What every trial is made with.

use super::DeviceTime;
use super::fault::Injector;
use super::record::Trial;
use crate::device::nvml::Monitor;
use crate::device::{Device, Telemetry};
use crate::ops::planner::{Planned, Planner};
use crate::stats::median;
use crate::workload::{Case, CaseError};
use std::sync::Arc;

/// The device, and what is made once for all its trials.
pub struct Instruments {
    /// Where to measure.
    pub device: Device,
    /// Makes the plans.
    pub planner: Planner,
    /// The clock, which is Criterion's too.
    pub time: DeviceTime,
    /// The card's state, where NVML tells it.
    pub telemetry: Option<Telemetry>,
    /// The card, where its energy is to be measured and it has a counter.
    pub energy_counter: Option<Arc<Monitor>>,
    /// Fault injection, where it was asked for.
    pub injector: Option<Injector>,
}

/// Which trial of a case.
#[derive(Clone, Copy)]
pub struct Which<'a> {
    /// From 0.
    pub number: usize,
    /// Those before it.
    pub earlier: &'a [Trial],
}

impl Which<'_> {
    /// Launches per sample, and about what a launch takes in nanoseconds, by the first trial.
    pub(super) fn known(&self) -> Option<(usize, f64)> {
        let first = self.earlier.first()?;
        Some((first.launches_per_sample, median(&first.samples_ms)? * 1e6))
    }
}

/// Buffer placement changes the time of a GEMM by up to 10 % on an H200: each trial has its
/// operands that much further on.
const SHIFT_BYTES: usize = 38 << 20;

impl Instruments {
    /// The plan of a case, with the fault that is to be injected into it.
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

    /// Whether nothing can be launched in this process any more, as after an illegal address.
    pub fn is_lost(&self) -> bool {
        self.injector.as_ref().is_some_and(Injector::is_lost) || self.device.is_lost()
    }

    /// Memory that is in the way of the operands of a trial; none where there is too little of it.
    pub fn shift(&self, trial: usize) -> Option<impl Sized> {
        match &self.device {
            Device::Cuda(cuda) if trial > 0 => cuda.alloc::<u8>(trial * SHIFT_BYTES).ok(),
            _ => None,
        }
    }
}
