//! A run under way: its journal, and what of it is measured, case by case.

use super::part::Part;
use super::resume::ensure_same_run;
use super::settings::Settings;
use crate::device::Device;
use crate::journal::home::runs_folder;
use crate::journal::record::{End, Failure, Header, Line, Start, Status};
use crate::journal::runs::free_run_id;
use crate::journal::{Claim, FILE_NAME, Journal, Run};
use crate::measure::record::{Calibration, Trial};
use crate::render::run_folder::RunFolder;
use crate::spec::Experiment;
use crate::units::{is_clock_off, now};
use crate::workload::case::Case;
use crate::workload::{CaseError, Operation};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

pub struct State {
    journal: Journal,
    pub header: Header,
    /// The name by which it is resumed: that of its folder.
    pub run_id: String,
    /// What is known of each case, in the order of the header.
    known: Vec<Known>,
    index_of: HashMap<String, usize>,
    /// Seconds that earlier processes spent on this run.
    earlier_wall_s: f64,
}

#[derive(Default)]
struct Known {
    trials: Vec<Trial>,
    has_secondary: bool,
    has_energy: bool,
    has_failed: bool,
}

impl State {
    pub fn open(
        header: Header,
        settings: &Settings,
        calibrate: impl FnOnce() -> Result<Option<Calibration>, CaseError>,
    ) -> Result<State> {
        ensure!(!is_clock_off(), "the system's clock says {}: set it (`date -s`)", now());
        if settings.report {
            writable(&settings.results_root)?;
        }
        if let Some(run_id) = &settings.resume {
            let (mut journal, run) = reopen(run_id, &header, settings)?;
            // For its burn-in: a run has the calibration of its first start.
            calibrate()?;
            let now = Header { run_id: run_id.clone(), ..header };
            journal.append(&Line::Start(Start::of(&now)))?;
            let mut state = State::new(journal, run.header.clone(), run_id.clone());
            state.earlier_wall_s = run.wall_s();
            state.take_over(run);
            // What made this process necessary: it has the device, so that the case was at fault.
            if let Some(lost) = settings.lost_case.as_deref().filter(|lost| state.is_new(lost)) {
                state.keep(&Line::Failure(lost.clone()))?;
            }
            return Ok(state);
        }
        let run_id = new_run_id(&header, settings)?;
        if settings.report {
            let root = &settings.results_root;
            RunFolder::of_new_run(root, &header.group, &run_id).ensure_free()?;
        }
        let claim = Claim::of(&runs_folder().join(&run_id))?;
        let header = Header { run_id: run_id.clone(), calibration: calibrate()?, ..header };
        Ok(State::new(claim.start(header.clone())?, header, run_id))
    }

    /// What earlier processes measured is not measured again.
    fn take_over(&mut self, run: Run) {
        run.trials.into_iter().for_each(|trial| self.note_trial(trial));
        run.secondary.iter().for_each(|secondary| self.note_secondary(&secondary.case_id));
        run.energy.iter().for_each(|energy| self.note_energy(&energy.case_id));
        run.failures.iter().for_each(|failure| self.note_failure(failure));
    }

    fn new(journal: Journal, header: Header, run_id: String) -> State {
        let ids = header.cases.iter().map(|case| case.id.clone());
        State {
            journal,
            run_id,
            known: header.cases.iter().map(|_| Known::default()).collect(),
            index_of: ids.enumerate().map(|(index, id)| (id, index)).collect(),
            header,
            earlier_wall_s: 0.0,
        }
    }

    pub fn journal(&self) -> &Path {
        self.journal.path()
    }

    pub fn trials(&self, index: usize) -> &[Trial] {
        &self.known[index].trials
    }

    pub fn is_settled(&self, index: usize, trial: usize) -> bool {
        let known = &self.known[index];
        known.has_failed || known.trials.iter().any(|known| known.trial == trial)
    }

    /// Whether a case is yet to be timed in other ways: a row is, where it has a time.
    pub fn lacks_secondary(&self, index: usize) -> bool {
        let known = &self.known[index];
        let case = &self.header.cases[index];
        // One whose operands come from memory is timed in no other way.
        let is_row = case.variant.is_none() && !matches!(case.operation, Operation::Cold(_));
        is_row && !known.has_secondary && !known.has_failed
    }

    /// Whether its energy is yet to be measured: that of a row is, where it has a time.
    pub fn lacks_energy(&self, index: usize) -> bool {
        let known = &self.known[index];
        self.header.cases[index].variant.is_none() && !known.has_energy && !known.has_failed
    }

    pub fn has_failed(&self, index: usize) -> bool {
        self.known[index].has_failed
    }

    pub fn all(&self) -> usize {
        self.header.cases.len() * self.header.protocol.trials
    }

    pub fn settled(&self) -> usize {
        let trials = self.header.protocol.trials;
        let settled = |known: &Known| match known.has_failed {
            true => trials,
            false => known.trials.len().min(trials),
        };
        self.known.iter().map(settled).sum()
    }

    /// The cases without an error, in the order of the spec, each with the samples of its trials in
    /// milliseconds per launch.
    pub fn complete(&self) -> impl Iterator<Item = (&Case, Vec<&[f64]>)> {
        let cases = self.header.cases.iter().zip(&self.known);
        cases.filter(|(_, known)| !known.has_failed && !known.trials.is_empty()).map(
            |(case, known)| (case, known.trials.iter().map(|trial| &*trial.samples_ms).collect()),
        )
    }

    pub fn keep(&mut self, line: &Line) -> Result<()> {
        self.journal.append(line).with_context(|| {
            let how = self.how_to_go_on();
            if !self.journal.is_there() {
                return "this run ends here".to_owned();
            }
            format!(
                "this run ends here, and nothing measured before is lost: {how} once that is mended"
            )
        })?;
        match line {
            Line::Trial(trial) => self.note_trial((**trial).clone()),
            Line::Secondary(secondary) => self.note_secondary(&secondary.case_id),
            Line::Energy(energy) => self.note_energy(&energy.case_id),
            Line::Failure(failure) => self.note_failure(failure),
            Line::Header(_) | Line::Start(_) | Line::End(_) => {}
        }
        Ok(())
    }

    pub fn end(&mut self, status: Status, start: Instant, criterion_s: Option<f64>) -> Result<()> {
        let wall_s = self.earlier_wall_s + start.elapsed().as_secs_f64();
        self.journal.append(&Line::End(End { status, wall_s, criterion_s }))
    }

    pub fn how_to_go_on(&self) -> String {
        let (done, all, run_id) = (self.settled(), self.all(), &self.run_id);
        format!("{done} of {all} trials are done; go on with NIGHT_SWEEP_RESUME={run_id}")
    }

    fn note_trial(&mut self, trial: Trial) {
        if let Some(&index) = self.index_of.get(&trial.case_id) {
            self.known[index].trials.push(trial);
        }
    }

    fn note_secondary(&mut self, case_id: &str) {
        if let Some(&index) = self.index_of.get(case_id) {
            self.known[index].has_secondary = true;
        }
    }

    fn note_energy(&mut self, case_id: &str) {
        if let Some(&index) = self.index_of.get(case_id) {
            self.known[index].has_energy = true;
        }
    }

    fn note_failure(&mut self, failure: &Failure) {
        if let Some(&index) = self.index_of.get(&failure.case_id) {
            self.known[index].has_failed = true;
        }
    }

    fn is_new(&self, failure: &Failure) -> bool {
        self.index_of.get(&failure.case_id).is_some_and(|&index| !self.known[index].has_failed)
    }
}

fn reopen(run_id: &str, now: &Header, settings: &Settings) -> Result<(Journal, Run)> {
    let dir = runs_folder().join(run_id);
    ensure!(
        dir.join(FILE_NAME).exists(),
        "cannot resume {run_id}: there is no such run in {}; `night-sweep list --runs` shows which \
         there are",
        runs_folder().display()
    );
    let is_allowed = |run: &Run| {
        if settings.report {
            RunFolder::of(&run.header, &settings.results_root).ensure_free()?;
        }
        ensure_same_run(&run.header, now)
    };
    Journal::reopen(&dir, is_allowed).with_context(|| format!("cannot resume {run_id}"))
}

fn new_run_id(header: &Header, settings: &Settings) -> Result<String> {
    if let Some(run_id) = &settings.run_id {
        ensure!(
            !runs_folder().join(run_id).join(FILE_NAME).exists(),
            "there is a run {run_id} already: go on with it by NIGHT_SWEEP_RESUME={run_id}, or \
             choose another NIGHT_SWEEP_RUN_ID"
        );
        return Ok(run_id.clone());
    }
    let shard = settings.shard.map(|shard| format!("_{}of{}", shard.index, shard.count));
    free_run_id(&format!("{}{}", header.experiment, shard.unwrap_or_default()))
}

pub fn header_of(
    experiment: &Experiment,
    device: &Device,
    env: Value,
    settings: &Settings,
    part: Part,
) -> Header {
    Header {
        schema_version: crate::journal::record::SCHEMA_VERSION.to_owned(),
        run_id: String::new(),
        group: experiment.group(),
        experiment: experiment.name.clone(),
        config: experiment.to_json(),
        device: device.name(),
        seed: settings.seed,
        protocol: experiment.protocol,
        shard: settings.shard.map(|shard| shard.to_string()),
        sweep: part.sweep,
        started_at: now().to_string(),
        env,
        calibration: None,
        cases: part.cases,
    }
}

/// Refuses a results root now that would refuse the report at the end of the night.
fn writable(results_root: &Path) -> Result<()> {
    fs::create_dir_all(results_root)
        .and_then(|()| tempfile::tempfile_in(results_root).map(drop))
        .with_context(|| format!("cannot write to the results root {}", results_root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{energy, header};
    use crate::workload::ErrorKind;

    #[test]
    fn a_resumed_run_lacks_the_energies_that_its_journal_has_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut header = header();
        let row = header.cases[0].clone();
        header.cases.push(row.variant("padded", row.operation.clone()));
        let third = Case { id: "G3/fp16/K3".to_owned(), ..row };
        header.cases.push(third);
        let lacks = |run: &State| [0, 1, 2, 3].map(|index| run.lacks_energy(index));
        let journal = Journal::create(dir.path(), header.clone()).unwrap();
        let mut run = State::new(journal, header.clone(), "night".to_owned());
        // Of rows, not of a variant.
        assert_eq!(lacks(&run), [true, true, false, true]);
        run.keep(&Line::Energy(Box::new(energy("G3/fp16/K1")))).unwrap();
        let failure = Failure {
            case_id: "G3/fp16/K2".to_owned(),
            trial: 0,
            error_kind: ErrorKind::OutOfMemory,
            error: "too little memory".to_owned(),
        };
        run.keep(&Line::Failure(failure)).unwrap();
        assert_eq!(lacks(&run), [false, false, false, true]);
        drop(run);

        let (journal, found) = Journal::reopen(dir.path(), |_| Ok(())).unwrap();
        let mut resumed = State::new(journal, header, "night".to_owned());
        resumed.take_over(found);
        assert_eq!(lacks(&resumed), [false, false, false, true]);
    }
}
