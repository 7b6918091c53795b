//! A sweep: trials of trials in random order, journalled one by one, and the report at the end.

use super::progress::Progress;
use super::resume::{ensure_same_run, start_anew};
use super::stop::Stop;
use super::trial::{Visitor, Which};
use super::{Part, criterion as quiet_criterion};
use crate::criterion::hush::{Hush, hear_panics, say};
use crate::device::clocks::Clocks;
use crate::device::{Device, nvml::Monitor};
use crate::journal::home::{criterion_home, runs_folder};
use crate::journal::record::{End, Failure, Header, Line, SCHEMA_VERSION, Start, Status};
use crate::journal::runs::free_run_id;
use crate::journal::{Claim, FILE_NAME, Journal};
use crate::measure::DeviceTime;
use crate::measure::calibrate;
use crate::measure::record::Trial;
use crate::render::{self, run_folder::RunFolder};
use crate::run::env;
use crate::run::settings::Settings;
use crate::spec::Experiment;
use crate::workload::case::Case;
use anyhow::{Context, Result, ensure};
use criterion::Criterion;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// A run under way.
struct Sweep<'a> {
    visitor: &'a Visitor,
    journal: Journal,
    cases: Vec<Case>,
    seed: u64,
    trials: Vec<Trial>,
    failures: Vec<Failure>,
    /// Seconds that earlier processes spent on this run.
    earlier_wall_s: f64,
}

/// Measures the cases of `part`, journals every trial and writes the report; the process began at `start`. The last line of stdout is
/// the report's folder.
///
/// A signal that asks it to stop ends it between two trials, with a partial report.
///
/// # Errors
/// If the journal or the report cannot be written, or the run to go on with is another one.
pub fn sweep(
    visitor: &Visitor,
    monitor: Option<&Monitor>,
    mut criterion: Criterion<DeviceTime>,
    experiment: &Experiment,
    settings: &Settings,
    part: Part,
    start: Instant,
) -> Result<ExitCode> {
    hear_panics();
    let stop = Stop::listen().context("cannot listen for signals")?;
    if settings.report {
        writable(&settings.results_root)?;
    }
    let mut sweep = Sweep::open(visitor, monitor, experiment, settings, part)?;
    let trials = visitor.protocol.trials;
    let mut progress =
        Progress::new(&experiment.group(), sweep.settled(trials), sweep.cases.len() * trials);
    for trial in 0..trials {
        let last = trial + 1 == trials;
        // Trials before the last leave no baseline behind, and compare with none; what Criterion makes of them is not kept.
        let mut early = Hush::Status.during(|| {
            let early = quiet_criterion(&visitor.time).nresamples(EARLY_RESAMPLES);
            early.retain_baseline("(none)".to_owned(), false)
        })?;
        let mut queue: VecDeque<(usize, usize)> = order(sweep.cases.len(), sweep.seed, trial)
            .into_iter()
            .map(|index| (index, 0))
            .collect();
        while let Some((index, times_slowed)) = queue.pop_front() {
            if sweep.is_settled(index, trial) {
                continue;
            }
            if let Some(asked) = stop.asked() {
                progress.finish();
                let how = sweep.how_to_go_on(trials)?;
                say(&format!("night-sweep: stopped by {}: {how}", asked.by));
                sweep.end(Status::Partial, start, settings)?;
                return Ok(ExitCode::from(asked.code));
            }
            let criterion = if last { &mut criterion } else { &mut early };
            let line = sweep.trial(index, trial, last, criterion, &mut progress)?;
            if is_slowed(&line) && times_slowed < SLOWED_VISITS {
                queue.push_back((index, times_slowed + 1));
                continue;
            }
            if let Line::Failure(failure) = &line {
                let id = &failure.case_id;
                progress.say(&format!("{id}: {}: {}", failure.error_kind.name(), failure.error));
                progress.drop_trials(trials - trial);
                if visitor.planner.is_lost() && stop.asked().is_none() {
                    progress.finish();
                    return start_anew(&sweep.run_id()?, &visitor.device, failure, settings);
                }
            }
            sweep.keep(&line, trials)?;
            if let Line::Trial(_) = &line {
                progress.advance();
            }
        }
    }
    progress.finish();
    sweep.end(Status::Complete, start, settings)?;
    Ok(ExitCode::SUCCESS)
}

/// Bootstrap resamples where nobody sees the result. Criterion warns of so few.
const EARLY_RESAMPLES: usize = 100;

/// TrialsByCase during which heat or hardware slowed the card that are made again later in the trial, for each case: then
/// one is kept as it is, and flagged. An unbounded wait for a cool card could last all night.
const SLOWED_VISITS: usize = 2;

fn is_slowed(line: &Line) -> bool {
    matches!(line, Line::Trial(trial) if trial.clocks.as_ref().is_some_and(Clocks::is_slowed))
}

/// Refuses a results root now that would refuse the report at the end of the night.
fn writable(results_root: &Path) -> Result<()> {
    fs::create_dir_all(results_root)
        .and_then(|()| tempfile::tempfile_in(results_root).map(drop))
        .with_context(|| format!("cannot write to the results root {}", results_root.display()))
}

/// The order of the cases in a trial: another permutation each, the same for the same seed.
fn order(cases: usize, seed: u64, trial: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(trial as u64);
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(&mut rng);
    order
}

impl<'a> Sweep<'a> {
    /// Starts a journal, or goes on with one.
    fn open(
        visitor: &'a Visitor,
        monitor: Option<&Monitor>,
        experiment: &Experiment,
        settings: &Settings,
        Part { cases, sweep }: Part,
    ) -> Result<Self> {
        let header = |run_id| Header {
            schema_version: SCHEMA_VERSION.to_owned(),
            run_id,
            group: experiment.group(),
            experiment: experiment.name.clone(),
            config: experiment.to_json(),
            device: visitor.device.name(),
            seed: settings.seed,
            protocol: visitor.protocol,
            shard: settings.shard.map(|shard| shard.to_string()),
            sweep: sweep.clone(),
            started_at: jiff::Timestamp::now().to_string(),
            env: env::describe(&visitor.device),
            calibration: None,
            cases: cases.clone(),
        };
        let calibrate = || match &visitor.device {
            Device::Cpu => Ok(None),
            Device::Cuda(cuda) => calibrate(cuda, monitor, settings.burn_in).map(Some),
        };
        if let Some(run_id) = &settings.resume {
            let dir = runs_folder().join(run_id);
            ensure!(
                dir.join(FILE_NAME).exists(),
                "cannot resume {run_id}: there is no such run in {}; `night-sweep list --runs` shows which there are",
                runs_folder().display()
            );
            let (mut journal, run) =
                Journal::reopen(&dir).with_context(|| format!("cannot resume {run_id}"))?;
            if settings.report {
                RunFolder::of(&run.header, &settings.results_root).ensure_free()?;
            }
            let now = header(run_id.clone());
            ensure_same_run(&run.header, &now)?;
            // For its burn-in: a run has the calibration of its first start.
            calibrate()?;
            journal.append(&Line::Start(Start::of(&now)))?;
            let earlier_wall_s = run.wall_s();
            let mut sweep = Sweep {
                visitor,
                journal,
                cases: run.header.cases,
                seed: run.header.seed,
                earlier_wall_s,
                trials: run.trials,
                failures: run.failures,
            };
            // What made this process necessary: it has the device, so that the case was at fault.
            if let Some(lost) = settings.lost_case.as_deref().filter(|lost| sweep.is_new(lost)) {
                sweep.keep(&Line::Failure(lost.clone()), visitor.protocol.trials)?;
            }
            return Ok(sweep);
        }
        if let Some(run_id) = &settings.run_id {
            ensure!(
                !runs_folder().join(run_id).join(FILE_NAME).exists(),
                "there is a run {run_id} already: go on with it by NIGHT_SWEEP_RESUME={run_id}, or choose another \
                 NIGHT_SWEEP_RUN_ID"
            );
        }
        let name = match settings.shard {
            Some(shard) => format!("{}_{}of{}", experiment.name, shard.index, shard.count),
            None => experiment.name.clone(),
        };
        let run_id = settings.run_id.clone().map_or_else(|| free_run_id(&name), Ok)?;
        if settings.report {
            let root = &settings.results_root;
            RunFolder::of_new_run(root, &experiment.group(), &run_id).ensure_free()?;
        }
        let claim = Claim::of(&runs_folder().join(&run_id))?;
        let header = Header { calibration: calibrate()?, ..header(run_id) };
        let journal = claim.start(header)?;
        let (trials, failures) = (Vec::new(), Vec::new());
        Ok(Sweep {
            visitor,
            journal,
            cases,
            seed: settings.seed,
            trials,
            failures,
            earlier_wall_s: 0.0,
        })
    }

    fn trial(
        &mut self,
        index: usize,
        trial: usize,
        last: bool,
        criterion: &mut Criterion<DeviceTime>,
        progress: &mut Progress,
    ) -> Result<Line> {
        let case = &self.cases[index];
        progress.under_way(&case.id);
        let earlier: Vec<&Trial> =
            self.trials.iter().filter(|trial| trial.case_id == case.id).collect();
        let which = Which { number: trial, last, earlier: &earlier };
        let line = match last {
            true => progress.aside(|| self.visitor.trial(criterion, case, &which)),
            false => self.visitor.trial(criterion, case, &which),
        };
        line.context("cannot redirect Criterion's output")
    }

    /// Writes what came of a trial to the journal.
    fn keep(&mut self, line: &Line, trials: usize) -> Result<()> {
        let kept = self.journal.append(line);
        kept.with_context(|| {
            let how = self.how_to_go_on(trials).unwrap_or_default();
            format!(
                "this run ends here, and nothing measured before is lost: {how} once that is mended"
            )
        })?;
        match line {
            Line::Trial(trial) => self.trials.push((**trial).clone()),
            Line::Failure(failure) => self.failures.push(failure.clone()),
            Line::Header(_) | Line::Start(_) | Line::End(_) => {}
        }
        Ok(())
    }

    /// Whether nothing is left to do for a case in a trial.
    fn is_settled(&self, index: usize, trial: usize) -> bool {
        let id = &self.cases[index].id;
        self.failures.iter().any(|failure| failure.case_id == *id)
            || self.trials.iter().any(|known| known.trial == trial && known.case_id == *id)
    }

    /// Whether this is a case of the run that has not failed yet.
    fn is_new(&self, failure: &Failure) -> bool {
        self.cases.iter().any(|case| case.id == failure.case_id)
            && self.failures.iter().all(|known| known.case_id != failure.case_id)
    }

    /// How many trials an earlier process has left settled.
    fn settled(&self, trials: usize) -> usize {
        (0..self.cases.len())
            .map(|index| (0..trials).filter(|trial| self.is_settled(index, *trial)).count())
            .sum()
    }

    /// Closes the journal and writes the report; the process began at `start`.
    fn end(&mut self, status: Status, start: Instant, settings: &Settings) -> Result<()> {
        let wall_s = self.earlier_wall_s + start.elapsed().as_secs_f64();
        self.journal.append(&Line::End(End { status, wall_s }))?;
        let journal = self.journal.path();
        if !settings.report {
            return writeln!(std::io::stdout(), "{}", journal.display()).with_context(|| {
                format!("cannot print where the journal is: {}", journal.display())
            });
        }
        let written = render::write(journal, &criterion_home(), &settings.results_root)
            .with_context(|| {
                format!(
                    "everything measured is in {0}, and `night-sweep report {0}` reports it once that is mended",
                    journal.display()
                )
            })?;
        render::terminal::print_report(&written)
    }

    /// For a person who has this run stopped.
    fn how_to_go_on(&self, trials: usize) -> Result<String> {
        let (done, all) = (self.settled(trials), self.cases.len() * trials);
        let run_id = self.run_id()?;
        Ok(format!("{done} of {all} trials are done; go on with NIGHT_SWEEP_RESUME={run_id}"))
    }

    fn run_id(&self) -> Result<String> {
        let folder = self.journal.path().parent().and_then(|folder| folder.file_name());
        Ok(folder
            .context("a journal lies in the folder of its run")?
            .to_string_lossy()
            .into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trial_is_another_permutation_and_the_seed_decides() {
        let sorted = |trial| {
            let mut order = order(100, 42, trial);
            order.sort_unstable();
            order
        };
        assert_eq!(sorted(0), (0..100).collect::<Vec<_>>());
        assert_ne!(order(100, 42, 0), order(100, 42, 1));
        assert_eq!(order(100, 42, 1), order(100, 42, 1));
        assert_ne!(order(100, 42, 0), order(100, 43, 0));
    }
}
