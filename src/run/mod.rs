//! A bench target: from the environment and a spec to a run folder, through Criterion.

pub mod env;
pub(crate) mod progress;
mod resume;
pub mod settings;
mod stop;
mod sweep;
mod trial;

use crate::criterion::arguments::{Arguments, Mode};
use crate::criterion::hush::say;
use crate::device::error::CaseError;
use crate::device::error::ErrorKind;
use crate::device::{Device, Telemetry, nvml::Monitor};
use crate::journal::home::criterion_home;
use crate::measure::fault::Fault;
use crate::measure::record::ProtocolKind;
use crate::measure::{ADAPTIVE_TRIALS, DeviceTime};
use crate::ops::planner::Planner;
use crate::run::settings::Settings;
use crate::spec::{Spec, default_spec};
use crate::workload::case::Case;
use ::criterion::Criterion;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use trial::Visitor;

/// Bootstrap resamples of Criterion's own statistics: the least that it takes without a warning. Its default of 100,000
/// takes a second a case. The statistics of record are ours.
const RESAMPLES: usize = 1001;

/// The `main` of the bench target `bench`: runs the first entry of the spec that is of one of its types, or the one
/// that the environment names.
///
/// The process ends with 0, with 1 if `--test` found a case that does not run, with 2 for bad input, with 75 if SIGTERM or
/// SIGUSR1 stopped it before it was done or its GPU is gone, or with 130 if Ctrl-C did.
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
    let settings = Settings::from_env().map_err(|line| anyhow!(line))?;
    let (device, note) = match (Device::open(settings.device), &settings.resume) {
        (Err(reason), Some(run_id)) if settings.lost_case.is_some() => {
            return resume::end_without_device(run_id, &reason, &settings);
        }
        (opened, _) => opened.map_err(|line| anyhow!(line))?,
    };
    if let (Device::Cpu, Some(Fault::Vanished { .. })) = (&device, &settings.fault) {
        bail!("NIGHT_SWEEP_FAULT=vanished: a processor does not vanish; it needs a CUDA GPU");
    }
    let spec = Spec::load(&spec_path(&settings, &device)?)?;
    let mut experiment = spec.experiment_of(bench, settings.experiment.as_deref())?.clone();
    let name = experiment.name.clone();
    experiment.protocol.kind = settings.protocol.unwrap_or(experiment.protocol.kind);
    if experiment.protocol.kind == ProtocolKind::Adaptive {
        experiment.protocol.trials = ADAPTIVE_TRIALS;
    }
    let cases = experiment.cases();
    check(&cases, &device)?;
    let planner = Planner::new(device.clone(), settings.seed).with_fault(settings.fault.clone());
    let selected: Vec<Case> = cases
        .into_iter()
        .filter(|case| arguments.selects(&case.id) && planner.offers(case))
        .collect();
    let part = Part::of(selected, &settings)?;
    if let Some(note) = note.filter(|_| arguments.mode != Mode::List) {
        say(&format!("night-sweep: {note}"));
    }
    if part.cases.is_empty() {
        eprintln!("night-sweep: no case of {name} has an id that the filter matches");
        return Ok(ExitCode::SUCCESS);
    }

    let monitor = match &device {
        Device::Cpu => None,
        Device::Cuda(cuda) => Monitor::open(&cuda.properties().uuid).map(Arc::new),
    };
    let visitor = Visitor {
        planner,
        time: DeviceTime::new(device.clock()),
        protocol: experiment.protocol,
        telemetry: monitor
            .clone()
            .map(Telemetry::start)
            .transpose()
            .context("cannot start a thread to watch the card")?,
        device,
    };
    if arguments.mode == Mode::List {
        // `--list | head` ends without a word; Criterion's printing would panic.
        sigpipe::reset();
    }
    let mut criterion = criterion(&visitor.time).configure_from_args();
    if matches!(arguments.mode, Mode::Load | Mode::Measure) {
        let mut required = arguments.required_baselines.iter();
        required.try_for_each(|baseline| require_baseline(&part.cases, baseline))?;
    }
    match arguments.mode {
        Mode::List | Mode::Load => replay(&mut criterion, &part.cases),
        Mode::Test | Mode::Profile => {
            return Ok(try_each(&visitor, &mut criterion, &part.cases));
        }
        Mode::Measure => {
            return sweep::sweep(
                &visitor,
                monitor.as_deref(),
                criterion,
                &experiment,
                &settings,
                part,
                start,
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What this process measures.
struct Part {
    cases: Vec<Case>,
    /// The ids of all cases of the sweep, if this is a shard of it.
    sweep: Vec<String>,
}

impl Part {
    fn of(selected: Vec<Case>, settings: &Settings) -> Result<Part> {
        let Some(shard) = settings.shard.filter(|_| !selected.is_empty()) else {
            return Ok(Part { cases: selected, sweep: Vec::new() });
        };
        let cases = shard.of(&selected, settings.seed);
        ensure!(
            !cases.is_empty(),
            "NIGHT_SWEEP_SHARD={shard}: the sweep has too few rows for so many shards, and none is left for this one"
        );
        Ok(Part { cases, sweep: selected.into_iter().map(|case| case.id).collect() })
    }
}

/// Criterion with our clock, before its arguments.
fn criterion(time: &DeviceTime) -> Criterion<DeviceTime> {
    Criterion::default().with_measurement(time.clone()).without_plots().nresamples(RESAMPLES)
}

fn spec_path(settings: &Settings, device: &Device) -> Result<PathBuf> {
    if let Some(path) = &settings.spec {
        return Ok(path.clone());
    }
    let name = match device {
        Device::Cpu => "night_sweep_cpu.yaml",
        Device::Cuda(_) => "night_sweep.yaml",
    };
    Ok(default_spec(name)?)
}

/// What no run survives: ids that Criterion would mix up, and operands that the device cannot hold.
fn check(cases: &[Case], device: &Device) -> Result<()> {
    let mut seen = HashSet::new();
    for case in cases {
        ensure!(seen.insert(case.id.as_str()), "two cases have the id {}", case.id);
        // Criterion cuts longer names, and two that are equal up to there would share a folder.
        let fits = case.id.split('/').all(|part| !part.is_empty() && part.len() <= 64);
        ensure!(
            fits && case.id.split('/').count() == 3,
            "the id {} is not group/series/point of 64 bytes",
            case.id
        );
        let (needed, there) = (case.operation.bytes(), device.memory_bytes() as f64);
        ensure!(
            needed <= there,
            "{}: its operands take {:.1} GB, and {} has {:.1} GB: make the sizes in the spec smaller",
            case.id,
            needed / 1e9,
            device.name(),
            there / 1e9
        );
    }
    Ok(())
}

/// Lets Criterion list the cases, or analyse what it saved of them; nothing is measured.
fn replay(criterion: &mut Criterion<DeviceTime>, cases: &[Case]) {
    let mut group = criterion.benchmark_group(cases[0].id.split('/').next().unwrap_or_default());
    for case in cases {
        crate::criterion::recorder::bench(&mut group, case, |_| {
            unreachable!("Criterion measures nothing in this mode")
        });
    }
}

/// Verifies each case and launches it. A case that the device does not support is said, and is no failure.
fn try_each(visitor: &Visitor, criterion: &mut Criterion<DeviceTime>, cases: &[Case]) -> ExitCode {
    let mut failed = 0;
    for case in cases {
        match visitor.try_once(criterion, case) {
            Ok(()) => {}
            Err(CaseError { kind: ErrorKind::Unsupported, message }) => {
                println!("Skipping {}: {message}", case.id)
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {}: {error}", case.id);
            }
        }
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => {
            eprintln!("night-sweep: {failed} of {} cases failed", cases.len());
            ExitCode::from(1)
        }
    }
}

/// Criterion would panic at the first case without the baseline: when measuring in the last trial, with the rest done.
fn require_baseline(cases: &[Case], baseline: &str) -> Result<()> {
    let home = criterion_home();
    let missing: Vec<&Case> =
        cases.iter().filter(|case| !home.join(&case.id).join(baseline).is_dir()).collect();
    if let Some(first) = missing.first() {
        bail!(
            "{} of {} cases have no baseline {baseline:?} ({} is one): save it first with `-- --save-baseline \
             {baseline}`, or compare what there is with `--baseline-lenient {baseline}`",
            missing.len(),
            cases.len(),
            first.id
        );
    }
    Ok(())
}
