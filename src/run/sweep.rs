//! A sweep: every case once in each trial, in random order, journalled one by one. Criterion gets
//! the samples when all are taken, and the report follows.

use super::passes::{Measured, measure};
use super::progress::Progress;
use super::resume::Lost;
use super::settings::Settings;
use super::state::State;
use crate::criterion::feed::feed;
use crate::journal::home::criterion_home;
use crate::journal::record::Status;
use crate::measure::record::ProtocolKind;
use crate::measure::{DeviceTime, Instruments};
use crate::process::signals::Signals;
use crate::render;
use crate::terminal::{print, say, text};
use crate::units::is_clock_off;
use anyhow::{Context, Result};
use criterion::Criterion;
use std::time::Instant;

/// How a run ended.
pub enum Ended {
    /// With an exit code.
    With(u8),
    /// A case left the device useless to this process.
    Lost(Lost),
}

/// Measures what is left of the run, hands Criterion the samples and writes the report; the time of
/// the run began at `start`. The last line of stdout is the report's folder. A signal that asks it
/// to stop ends it between two trials, with a partial report.
pub fn sweep(
    with: &Instruments,
    mut run: State,
    mut criterion: Criterion<DeviceTime>,
    signals: &Signals,
    settings: &Settings,
    start: Instant,
) -> Result<Ended> {
    let group = run.header.group.clone();
    let mut progress = Progress::new(&group, run.settled(), run.all());
    let measured = measure(with, &mut run, signals, &mut progress)?;
    progress.finish();
    match measured {
        // All plans are gone: whatever the device or a library prints, it prints before or after
        // Criterion's turn.
        Measured::All => {
            let fed = Instant::now();
            // A gate reads the journal, and throws Criterion's files away.
            let mut asked = None;
            let is_fed = run.header.protocol.kind != ProtocolKind::Gate;
            if is_fed && is_clock_off() {
                say("night-sweep: the system's clock is off, and Criterion gets no samples");
            } else if is_fed {
                for (case, trials_ms) in run.complete() {
                    asked = signals.asked();
                    if asked.is_some() {
                        break;
                    }
                    feed(&mut criterion, case, &trials_ms)
                        .context("cannot redirect Criterion's output")?;
                }
            }
            if let Some(asked) = asked {
                let (by, run_id) = (asked.by, &run.run_id);
                say(&format!(
                    "night-sweep: stopped by {by}: everything is measured, and Criterion has not \
                     got all of it; go on with NIGHT_SWEEP_RESUME={run_id}"
                ));
            }
            run.end(Status::Complete, start, Some(fed.elapsed().as_secs_f64()))?;
            report(&run, settings)?;
            Ok(Ended::With(asked.map_or(0, |asked| asked.code)))
        }
        Measured::Stopped(asked) => {
            say(&format!("night-sweep: stopped by {}: {}", asked.by, run.how_to_go_on()));
            run.end(Status::Partial, start, None)?;
            report(&run, settings)?;
            Ok(Ended::With(asked.code))
        }
        Measured::Lost(failure) => Ok(Ended::Lost(Lost { run_id: run.run_id, failure })),
    }
}

/// Writes the report, unless nobody wants it: then the last line is the journal.
fn report(run: &State, settings: &Settings) -> Result<()> {
    // As the folder of results is.
    let journal = &std::path::absolute(run.journal())?;
    if !settings.report {
        return print(&text::path(journal))
            .with_context(|| format!("cannot print where the journal is: {}", journal.display()));
    }
    let written =
        render::write(journal, &criterion_home(), &settings.results_root).with_context(|| {
            format!(
                "everything measured is in {}, and `night-sweep report {}` reports it once that is \
                 mended",
                journal.display(),
                text::shell(journal)
            )
        })?;
    render::terminal::print_report(&written)
}
