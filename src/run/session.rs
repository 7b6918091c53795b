//! What a process opens once, for all the experiments that it runs: the device, PyTorch on it, what
//! watches it, and its calibration.

use super::attempt::try_each;
use super::env;
use super::list::List;
use super::notes::Notes;
use super::part::Part;
use super::resume::{Lost, start_anew};
use super::settings::Settings;
use super::state::{State, header_of};
use super::sweep::{Ended, sweep};
use crate::criterion::arguments::{Arguments, Mode, require};
use crate::criterion::{feed, quiet};
use crate::device::{Device, Opened, Telemetry, nvml::Monitor};
use crate::measure::fault::{Fault, Injector};
use crate::measure::record::{Calibration, ProtocolKind};
use crate::measure::{DeviceTime, Instruments, calibrate, settle, with_peaks_of};
use crate::ops::planner::Planner;
use crate::process::signals::Signals;
use crate::spec::Experiment;
use crate::terminal::{print, say};
use crate::workload::{CaseError, Precision};
use anyhow::{Context, Result, bail};
use criterion::Criterion;
use serde_json::Value;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

/// Bootstrap resamples of Criterion's own statistics: the least that it takes without a warning.
/// Its default of 100,000 takes a second a case. The statistics in raw.json are ours.
const RESAMPLES: usize = 1001;

pub struct Session {
    pub settings: Settings,
    arguments: Arguments,
    with: Instruments,
    monitor: Option<Arc<Monitor>>,
    notes: Notes,
    /// Heard where something is measured.
    signals: Option<Signals>,
    /// When the process began, until a run has counted what it took to get here.
    began: Option<Instant>,
    env: Option<Value>,
    calibration: Cell<Option<Calibration>>,
}

impl Session {
    pub fn open(
        opened: Opened,
        arguments: Arguments,
        settings: Settings,
        signals: Option<Signals>,
        began: Instant,
    ) -> Result<Session> {
        let Opened { device, torch, note } = opened;
        if let (Device::Cpu, Some(Fault::Vanished { .. })) = (&device, &settings.fault) {
            bail!("NIGHT_SWEEP_FAULT=vanished: a processor does not vanish; it needs a CUDA GPU");
        }
        let (torch, no_torch) = match torch {
            Ok(torch) => (Some(torch), None),
            Err(reason) => (None, Some(reason)),
        };
        let monitor = match &device {
            Device::Cuda(cuda) if !arguments.mode.launches_nothing() => {
                Monitor::open(&cuda.properties().uuid).map(Arc::new)
            }
            _ => None,
        };
        let telemetry = monitor.clone().map(Telemetry::start).transpose();
        let has_counter = |card: &&Arc<Monitor>| card.energy_counter().is_some();
        let energy_counter = monitor.as_ref().filter(|_| settings.energy).filter(has_counter);
        let no_energy = (settings.energy && energy_counter.is_none()).then_some(match &device {
            Device::Cpu => "there is no energy counter on the CPU",
            Device::Cuda(_) => "the GPU has no energy counter, or NVML does not show it",
        });
        let with = Instruments {
            energy_counter: energy_counter.cloned(),
            planner: Planner::new(device.clone(), torch, settings.seed),
            time: DeviceTime::new(device.clock()),
            telemetry: telemetry.context("cannot start a thread to watch the card")?,
            injector: settings.fault.clone().map(|fault| Injector::new(fault, device.clone())),
            device,
        };
        // In both Criterion analyses while stderr is hushed.
        if matches!(arguments.mode, Mode::Measure | Mode::Load) {
            quiet::report_panics();
        }
        Ok(Session {
            settings,
            arguments,
            with,
            monitor,
            notes: Notes::new(note, no_torch, no_energy),
            signals,
            began: Some(began),
            env: None,
            calibration: Cell::new(None),
        })
    }

    pub fn is_lost(&self) -> bool {
        self.with.is_lost()
    }

    /// What to exit with, if somebody asked to stop.
    pub fn stopped(&self) -> Option<u8> {
        self.signals.as_ref().and_then(Signals::code)
    }

    /// Another process in the place of this one, for the experiments of `left`; the first of them
    /// is the run that `lost` the device, if one did. Returns only if it cannot be started.
    pub fn start_anew(&self, left: List, lost: Option<Lost>) -> Result<u8> {
        let what = match &self.with.device {
            _ if !self.is_lost() => "an experiment panicked",
            Device::Cpu => "nothing can be launched any more",
            Device::Cuda(_) => "the CUDA context is lost",
        };
        let remaining = if lost.is_some() { "cases" } else { "experiments" };
        say(&format!("night-sweep: {what}; starting anew for the remaining {remaining}"));
        let (device, signals) = (&self.with.device, self.signals.as_ref());
        start_anew(&left, lost.as_ref(), device, &self.settings, signals)
    }

    /// Runs an experiment: from its cases to its report.
    pub fn run(&mut self, experiment: &Experiment) -> Result<Ended> {
        let start = Instant::now();
        let Session { arguments, with, .. } = &*self;
        let mode = arguments.mode;
        if arguments.selects_nothing() {
            return Ok(Ended::With(0));
        }
        let part = Part::of(experiment, &self.settings, &with.device, |case| {
            arguments.selects(&case.id) && with.planner.offers(case)
        })?;
        let cases = &part.cases;
        self.notes.refuse_pytorch_asked_for(experiment, cases)?;
        if mode != Mode::List {
            self.notes.say_once(cases);
        }
        let mut required = self.arguments.required_baselines.iter();
        match mode {
            Mode::List => {
                let ids = cases.iter().map(|case| format!("{}: benchmark\n", case.id));
                print(&ids.collect::<String>())?;
                Ok(Ended::With(0))
            }
            Mode::Test => try_each(&self.with, cases, None).map(Ended::With),
            Mode::Profile(time) => try_each(&self.with, cases, Some(time)).map(Ended::With),
            Mode::Load => {
                required.try_for_each(|baseline| require(cases, baseline))?;
                feed::analyse(&mut self.criterion(), cases)?;
                Ok(Ended::With(0))
            }
            Mode::Measure => {
                required.try_for_each(|baseline| require(cases, baseline))?;
                self.notes.say_no_energy_once();
                self.measure(experiment, part, self.criterion(), start)
            }
        }
    }

    fn criterion(&self) -> Criterion<DeviceTime> {
        let criterion = Criterion::default()
            .with_measurement(self.with.time.clone())
            .without_plots()
            .nresamples(RESAMPLES)
            .configure_from_args();
        match self.arguments.has_colours() {
            Some(has_colours) => criterion.with_output_color(has_colours),
            None => criterion,
        }
    }

    fn measure(
        &mut self,
        experiment: &Experiment,
        part: Part,
        criterion: Criterion<DeviceTime>,
        start: Instant,
    ) -> Result<Ended> {
        // What it took to open all this belongs to the first run.
        let start = self.began.take().unwrap_or(start);
        let (device, torch) = (&self.with.device, self.with.planner.torch());
        let env = self.env.get_or_insert_with(|| env::describe(device, torch)).clone();
        self.with.planner.compile_ahead(&part.cases);
        let header = header_of(experiment, device, env, &self.settings, part);
        let kind = header.protocol.kind;
        // Of all cases, so that the shards of a sweep have the same peaks.
        let precisions: Vec<_> = experiment.cases().iter().map(|case| case.dtype).collect();
        let calibration = || self.calibration(kind, &precisions);
        let signals = self.signals.as_ref().context("nobody listens for signals")?;
        signals.begin();
        let run = State::open(header, &self.settings, calibration)?;
        sweep(&self.with, run, criterion, signals, &self.settings, start)
    }

    /// Burn-in and calibration, at the first run; the later ones measure the peaks that are new in
    /// them, and wait for a steady clock.
    fn calibration(
        &self,
        kind: ProtocolKind,
        precisions: &[Precision],
    ) -> Result<Option<Calibration>, CaseError> {
        let Device::Cuda(cuda) = &self.with.device else { return Ok(None) };
        if let Some(mut known) = self.calibration.get() {
            if let Some(peaks) = known.peaks {
                known.peaks = Some(with_peaks_of(cuda, peaks, precisions)?);
                self.calibration.set(Some(known));
            }
            return Ok(Some(Calibration { start: Some(settle(cuda)?), wall_s: None, ..known }));
        }
        let (monitor, burn_in) = (self.monitor.as_deref(), self.settings.burn_in);
        let calibration = calibrate(cuda, monitor, burn_in, kind, precisions)?;
        self.calibration.set(Some(calibration));
        Ok(Some(calibration))
    }
}
