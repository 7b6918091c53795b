//! A bench: from the environment and a spec to a run folder.

mod attempt;
pub(crate) mod env;
mod part;
pub(crate) mod progress;
mod resume;
pub mod settings;
mod state;
mod sweep;

use crate::criterion::arguments::{Arguments, Mode, require};
use crate::criterion::{feed, quiet};
use crate::device::{Device, NoTorch, Opened, Telemetry, nvml::Monitor};
use crate::measure::fault::{Fault, Injector};
use crate::measure::record::ProtocolKind;
use crate::measure::{ADAPTIVE_TRIALS, DeviceTime, Instruments};
use crate::ops::planner::Planner;
use crate::process::signals::Signals;
use crate::run::settings::Settings;
use crate::spec::{Experiment, Source, Spec};
use crate::terminal::say;
use crate::workload::ProviderChoice;
use crate::workload::case::Case;
use ::criterion::Criterion;
use anyhow::{Context, Error, Result, bail, ensure};
use attempt::try_each;
use part::Part;
use state::State;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Bootstrap resamples of Criterion's own statistics: the least that it takes without a warning.
/// Its default of 100,000 takes a second a case. The statistics in raw.json are ours.
const RESAMPLES: usize = 1001;

/// The `main` of the bench target `bench`: runs the first entry of the spec that is of one of its
/// types, or the one that the environment names.
///
/// The process ends with 0, with 1 if `--test` found a case that does not run, with 2 for bad
/// input, with 75 if SIGTERM or SIGUSR1 stopped it before it was done or its GPU is gone, or with
/// 130 if Ctrl-C did.
pub fn bench(bench: &str) -> ExitCode {
    match try_bench(bench) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("night-sweep: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn try_bench(bench: &str) -> Result<ExitCode> {
    let start = Instant::now();
    let arguments = Arguments::from_process()?;
    let settings = Settings::from_env()?;
    let opened = match (Opened::new(settings.device, &settings.torch), &settings.resume) {
        (Err(reason), Some(run_id)) if settings.lost_case.is_some() => {
            return resume::end_without_device(run_id, &reason.message, &settings);
        }
        (opened, _) => opened.map_err(Error::msg)?,
    };
    let Opened { device, torch, note } = opened;
    if let (Device::Cpu, Some(Fault::Vanished { .. })) = (&device, &settings.fault) {
        bail!("NIGHT_SWEEP_FAULT=vanished: a processor does not vanish; it needs a CUDA GPU");
    }
    let experiment = experiment(bench, &settings, &device)?;
    let planner = Planner::new(device.clone(), torch.as_ref().ok().cloned(), settings.seed);
    let part = Part::of(&experiment, &settings, &device, |case| {
        arguments.selects(&case.id) && planner.offers(case)
    })?;
    if let Err(no_torch) = &torch {
        refuse_pytorch_asked_for(&experiment, &part.cases, no_torch)?;
    }
    let stand_ins = torch.err().filter(|reason| !reason.is_asked_for && has_stand_ins(&part.cases));
    let stand_ins = stand_ins.map(|reason| {
        format!("{}; PyTorch's backends are stand-ins of ours, and are labelled so", reason.why)
    });
    for note in note.into_iter().chain(stand_ins).filter(|_| arguments.mode != Mode::List) {
        say(&format!("night-sweep: {note}"));
    }
    if arguments.mode == Mode::List {
        // `--list | head` ends without a word; Criterion's printing would panic.
        sigpipe::reset();
    }
    let time = DeviceTime::new(device.clock());
    let mut criterion = Criterion::default()
        .with_measurement(time.clone())
        .without_plots()
        .nresamples(RESAMPLES)
        .configure_from_args();
    if matches!(arguments.mode, Mode::Load | Mode::Measure) {
        let mut required = arguments.required_baselines.iter();
        required.try_for_each(|baseline| require(&part.cases, baseline))?;
    }
    if matches!(arguments.mode, Mode::List | Mode::Load) {
        feed::replay(&mut criterion, &part.cases);
        return Ok(ExitCode::SUCCESS);
    }
    let monitor = match &device {
        Device::Cpu => None,
        Device::Cuda(cuda) => Monitor::open(&cuda.properties().uuid).map(Arc::new),
    };
    let telemetry = monitor.clone().map(Telemetry::start).transpose();
    let injector = settings.fault.clone().map(|fault| Injector::new(fault, device.clone()));
    let with = Instruments {
        planner,
        time,
        telemetry: telemetry.context("cannot start a thread to watch the card")?,
        injector,
        device,
    };
    if arguments.mode != Mode::Measure {
        return try_each(&with, &mut criterion, &part.cases).map(ExitCode::from);
    }
    quiet::report_panics();
    let signals = Signals::listen_in_a_bench().context("cannot listen for signals")?;
    let header = state::header_of(&experiment, &with, &settings, part.cases, part.sweep);
    let run = State::open(header, &with.device, monitor.as_deref(), &settings)?;
    sweep::sweep(with, run, criterion, &signals, &settings, start)
}

fn experiment(bench: &str, settings: &Settings, device: &Device) -> Result<Experiment> {
    let source = Source::of(settings.spec.as_deref(), matches!(device, Device::Cpu))?;
    let spec = Spec::of(&source)?;
    let mut experiment = spec.experiment_of(bench, settings.experiment.as_deref())?.clone();
    experiment.protocol.kind = settings.protocol.unwrap_or(experiment.protocol.kind);
    if experiment.protocol.kind == ProtocolKind::Adaptive {
        experiment.protocol.trials = ADAPTIVE_TRIALS;
    }
    Ok(experiment)
}

/// Refuses a sweep that asks for PyTorch where there is none.
fn refuse_pytorch_asked_for(
    experiment: &Experiment,
    cases: &[Case],
    reason: &NoTorch,
) -> Result<()> {
    let asks = |case: &Case| case.operation.provider() == ProviderChoice::Pytorch;
    ensure!(
        !cases.iter().any(asks),
        "{} asks for provider pytorch: {}; install it, or name it by NIGHT_SWEEP_TORCH",
        experiment.name,
        reason.why
    );
    Ok(())
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
