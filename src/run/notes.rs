//! What the user is told about the device and PyTorch that were found: once, whatever is run.

use crate::device::NoTorch;
use crate::spec::Experiment;
use crate::terminal::say;
use crate::workload::ProviderChoice;
use crate::workload::case::Case;
use anyhow::{Result, ensure};

pub struct Notes {
    /// Where `auto` took the CPU.
    device: Option<String>,
    no_torch: Option<NoTorch>,
    has_said_stand_ins: bool,
    /// Why none is measured, where it was asked for.
    no_energy: Option<&'static str>,
}

impl Notes {
    pub fn new(
        device: Option<String>,
        no_torch: Option<NoTorch>,
        no_energy: Option<&'static str>,
    ) -> Notes {
        Notes { device, no_torch, has_said_stand_ins: false, no_energy }
    }

    pub fn say_no_energy_once(&mut self) {
        if let Some(why) = self.no_energy.take() {
            say(&format!("night-sweep: {why}; the run goes on without energy"));
        }
    }

    pub fn say_once(&mut self, cases: &[Case]) {
        if let Some(note) = self.device.take() {
            say(&format!("night-sweep: {note}"));
        }
        let unasked = self.no_torch.as_ref().filter(|reason| !reason.is_asked_for);
        if let Some(NoTorch { why, .. }) = unasked.filter(|_| !self.has_said_stand_ins)
            && has_stand_ins(cases)
        {
            self.has_said_stand_ins = true;
            say(&format!(
                "night-sweep: {why}; PyTorch's backends are stand-ins of ours, and are labelled so"
            ));
        }
    }

    /// Refuses a sweep that asks for PyTorch where there is none.
    pub fn refuse_pytorch_asked_for(&self, experiment: &Experiment, cases: &[Case]) -> Result<()> {
        let Some(NoTorch { why, .. }) = &self.no_torch else { return Ok(()) };
        let asks = |case: &Case| case.operation.provider() == ProviderChoice::Pytorch;
        ensure!(
            !cases.iter().any(asks),
            "{} asks for provider pytorch: {why}; install it, or name it by NIGHT_SWEEP_TORCH",
            experiment.name
        );
        Ok(())
    }
}

/// Whether names are asked for that are PyTorch's.
fn has_stand_ins(cases: &[Case]) -> bool {
    let is_published = |case: &Case| {
        case.operation.sdpa().is_some_and(|sdpa| {
            sdpa.backend.is_published() && sdpa.provider == ProviderChoice::Auto
        })
    };
    cases.iter().any(is_published)
}
