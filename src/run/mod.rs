//! A bench: from the environment and a spec to run folders.
//!
//! ```text
//! the device, PyTorch, telemetry -> session, once
//! each experiment: part: cases -> state: its journal -> sweep: passes, Criterion, report
//! a lost device -> resume: another process, for what is left
//! ```

mod attempt;
mod decide;
pub(crate) mod env;
pub(crate) mod list;
mod notes;
mod part;
mod passes;
pub(crate) mod progress;
mod resume;
mod session;
pub mod settings;
mod state;
mod sweep;

use crate::criterion::arguments::{Arguments, Mode};
use crate::device::{Device, Opened};
use crate::measure::ADAPTIVE_TRIALS;
use crate::measure::record::ProtocolKind;
use crate::process::exit::{PANICKED, REFUSED};
use crate::process::signals::{STOPPED, Signals};
use crate::spec::{Experiment, Source, Spec};
use crate::terminal::refuse;
use anyhow::{Context, Error, Result};
use list::{List, first_failure, say_not_begun};
use session::Session;
use settings::{ALL, Settings};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;
use sweep::Ended;

/// The `main` of the bench target `bench`: runs the first entry of the spec that is of one of its
/// types, the one that the environment names, or all of its types; or, as `night-sweep run`,
/// several one after the other.
///
/// The process ends with 0, with 1 if `--test` found a case that does not run, with 2 for bad
/// input, with 75 if SIGTERM or SIGUSR1 stopped it before it was done or its GPU is gone, or with
/// 130 if Ctrl-C did; after several with the first of these that is not 0.
pub fn bench(bench: &str) -> ExitCode {
    ExitCode::from(try_bench(bench).unwrap_or_else(refused))
}

fn refused(error: Error) -> u8 {
    refuse(&format!("night-sweep: {error:#}"));
    REFUSED
}

fn try_bench(bench: &str) -> Result<u8> {
    let start = Instant::now();
    let Some(arguments) = Arguments::from_process()? else { return Ok(0) };
    // Heard from the start: a large spec and a driver take their time.
    let signals = (arguments.mode == Mode::Measure).then(Signals::listen_in_a_bench).transpose();
    let signals = signals.context("cannot listen for signals")?;
    let settings = Settings::from_env()?;
    let code = settings.list.as_ref().map_or(0, |list| list.code);
    let ended = run(bench, arguments, settings, signals, start).unwrap_or_else(refused);
    Ok(first_failure(code, ended))
}

fn run(
    bench: &str,
    arguments: Arguments,
    settings: Settings,
    signals: Option<Signals>,
    start: Instant,
) -> Result<u8> {
    let opened = match (Opened::new(settings.device, &settings.torch), &settings.resume) {
        (Err(reason), Some(run_id)) if settings.lost_case.is_some() => {
            return resume::end_without_device(run_id, &reason.message, &settings);
        }
        (opened, _) => opened.map_err(Error::msg)?,
    };
    let experiments = experiments(bench, &settings, &opened.device)?;
    one_after_the_other(Session::open(opened, arguments, settings, signals, start)?, &experiments)
}

/// A failure of one keeps no other from being run; what stops one stops them all.
fn one_after_the_other(mut session: Session, experiments: &[Experiment]) -> Result<u8> {
    let mut code = session.settings.list.as_ref().map_or(0, |list| list.code);
    for (index, experiment) in experiments.iter().enumerate() {
        let (these, later) = (&experiments[index..], &experiments[index + 1..]);
        let ended = catch_unwind(AssertUnwindSafe(|| session.run(experiment)));
        let has_panicked = ended.is_err();
        let ended = match ended {
            Ok(Ok(Ended::With(ended))) => ended,
            Ok(Ok(Ended::Lost(lost))) => {
                // The case is not recorded yet, and none is to blame.
                if let Some(stopped) = session.stopped() {
                    say_not_begun(&List::of(later, code).names);
                    return Ok(first_failure(code, stopped));
                }
                return session.start_anew(List::of(these, code), Some(lost));
            }
            Ok(Err(error)) => refused(error),
            Err(_) => PANICKED,
        };
        code = first_failure(code, ended);
        if later.is_empty() {
            break;
        }
        let left = List::of(later, code);
        let stopped = STOPPED.contains(&ended).then_some(ended);
        if let Some(stopped) = stopped.or_else(|| session.stopped()) {
            say_not_begun(&left.names);
            return Ok(first_failure(code, stopped));
        }
        // Nobody knows what a panic left behind.
        if has_panicked || session.is_lost() {
            return session.start_anew(left, None);
        }
        session.settings.for_the_next_run();
    }
    Ok(code)
}

/// What is to be run; all of it is in the spec, or nothing is measured.
fn experiments(bench: &str, settings: &Settings, device: &Device) -> Result<Vec<Experiment>> {
    let source = Source::of(settings.spec.as_deref(), matches!(device, Device::Cpu))?;
    let spec = Spec::of(&source)?;
    let found = match &settings.list {
        Some(list) => {
            list.names.iter().map(|name| spec.experiment(name)).collect::<Result<_, _>>()?
        }
        None => match settings.experiment.as_deref() {
            Some(ALL) => spec.experiments_of(bench)?,
            name => vec![spec.experiment_of(bench, name)?],
        },
    };
    if found.len() > 1 && settings.lost_case.is_none() {
        settings.ensure_names_no_run()?;
    }
    Ok(found.into_iter().map(|experiment| as_set(experiment, settings)).collect())
}

fn as_set(experiment: &Experiment, settings: &Settings) -> Experiment {
    let mut experiment = experiment.clone();
    experiment.protocol.kind = settings.protocol.unwrap_or(experiment.protocol.kind);
    if experiment.protocol.kind == ProtocolKind::Adaptive {
        experiment.protocol.trials = ADAPTIVE_TRIALS;
    }
    experiment
}
