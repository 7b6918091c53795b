//! `night-sweep fan-out`: a sweep on the GPUs of one node, a shard and a process each, that becomes
//! one run.
//!
//! Shards measure different cases, so they share Criterion's folder: its baselines work as in one
//! process. Their journals lie there under run ids of their own.

mod interference;
pub(crate) mod place;
mod request;
mod side_by_side;
mod state;

use crate::files::{self, cannot, remove_if};
use crate::journal::home::{criterion_home, runs_folder};
use crate::journal::merge::merge;
use crate::journal::record::Status;
use crate::journal::shard::Shard;
use crate::journal::{self, FILE_NAME};
use crate::process::environment::relevant;
use crate::process::signals::Signals;
use crate::render::{self, run_folder::RunFolder};
use crate::spec::{Source, Spec};
use crate::terminal::{print, say, text};
use anyhow::{Context, Result, ensure};
use place::Place;
pub(crate) use request::Request;
use side_by_side::{Ended, Job, failed, side_by_side};
use state::FanOut;
use std::path::PathBuf;
use std::time::Instant;

/// Measures, merges and reports; the last line of stdout is the run folder, or the journal where no
/// report is wanted. The exit code is not 0 if somebody asked to stop.
pub(crate) fn run(request: &Request) -> Result<u8> {
    let (experiment, group) = experiment(request)?;
    let plan = state::plan(request, &relevant(&["DEVICE"]))?;
    let state = FanOut::open(&plan, request.run_id.as_deref(), &experiment)?;
    if request.report {
        RunFolder::of_new_run(&request.results_root, &group, &state.run_id).ensure_free()?;
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    say(&format!(
        "night-sweep: {experiment} in {} shards, run {}{}; logs in {}",
        request.places.len(),
        state.run_id,
        if state.folder.is_resumed { " (goes on)" } else { "" },
        state.folder.dir().display()
    ));
    let interference = match request.interference {
        true => interference::measure(request, &state, &signals)?,
        false => None,
    };
    let (shards, start) = (shards(request, &state), Instant::now());
    let ended = match signals.code() {
        None => side_by_side(jobs(request, &state, &shards)?, &signals),
        Some(_) => Vec::new(),
    };
    failed(&ended, &signals)?;
    if signals.code().is_none() {
        // Its GPU is gone, or somebody stopped this one alone.
        for ended in ended.iter().filter(|ended| !ended.is_done()) {
            say(&format!("night-sweep: {}", ended.describe()));
        }
    }
    let code = signals.code().or_else(|| ended.iter().find_map(Ended::stopped_with));
    if let Some(code) = code.filter(|_| shards.iter().any(|shard| !shard.is_done())) {
        say(&format!("night-sweep: stopped; the same command goes on with run {}", state.run_id));
        return Ok(code);
    }
    let measured_s = start.elapsed().as_secs_f64();

    let run_ids: Vec<String> = shards.iter().map(|shard| shard.run_id.clone()).collect();
    let journal = merge(&run_ids, Some(&state.run_id))?;
    let merged_s = start.elapsed().as_secs_f64() - measured_s;
    if !request.report {
        print(&text::path(&journal))?;
        return Ok(0);
    }
    let written = render::write(&journal, &criterion_home(), &request.results_root)
        .with_context(|| format!("everything measured is in {}", journal.display()))?;
    let reported_s = start.elapsed().as_secs_f64() - measured_s - merged_s;
    say(&format!(
        "night-sweep: {measured_s:.1} s of measuring, {merged_s:.1} s to merge, {reported_s:.1} s \
         to report"
    ));
    if let Some(interference) = interference {
        let path = interference.write_beside(&written.folder)?;
        let text = interference::output::text(&interference);
        render::terminal::print(&format!("{text}{}\n", text::path(&path)))?;
    }
    render::terminal::print_report(&written)?;
    Ok(0)
}

fn experiment(request: &Request) -> Result<(String, String)> {
    let (spec, bench) = (Spec::of(&request.spec)?, &request.bench);
    let experiment = match &request.experiment {
        Some(name) => {
            let experiment = spec.experiment(name)?;
            let target = experiment.bench_target();
            ensure!(target == bench, "{name} is run by the bench {target}, not by {bench}");
            Some(experiment)
        }
        None => spec.experiments().find(|experiment| experiment.bench_target() == bench),
    };
    let experiment = experiment.with_context(|| {
        format!("{}: no experiment is run by a bench {bench}", request.spec.path.display())
    })?;
    Ok((experiment.name.clone(), experiment.group()))
}

struct Part<'a> {
    shard: Shard,
    place: &'a Place,
    run_id: String,
    journal: PathBuf,
}

fn shards<'a>(request: &'a Request, state: &FanOut) -> Vec<Part<'a>> {
    let count = request.places.len();
    let part = |(index, place): (usize, &'a Place)| {
        let shard = Shard { index: index + 1, count };
        let run_id = state.shard_run(shard);
        let journal = runs_folder().join(&run_id).join(FILE_NAME);
        Part { shard, place, run_id, journal }
    };
    request.places.iter().enumerate().map(part).collect()
}

impl Part<'_> {
    fn is_done(&self) -> bool {
        journal::read(&self.journal).is_ok_and(|run| {
            run.end.as_ref().is_some_and(|end| end.status == Status::Complete)
                && run.open_trials().is_empty()
        })
    }

    fn start(&self) -> Result<&'static str> {
        if !self.journal.exists() {
            return Ok("NIGHT_SWEEP_RUN_ID");
        }
        ensure!(
            !journal::is_being_written(&self.journal),
            "shard {} is still being measured by a process of an earlier start: wait, or stop it",
            self.shard
        );
        let bytes = files::read(&self.journal, files::RUN_BYTES)
            .with_context(cannot("read", &self.journal))?;
        if bytes.contains(&b'\n') {
            return Ok("NIGHT_SWEEP_RESUME");
        }
        // Killed within its first line: there is nothing to go on from.
        remove_if(&self.journal, is_first_line_of_a_journal)?;
        Ok("NIGHT_SWEEP_RUN_ID")
    }
}

fn is_first_line_of_a_journal(bytes: &[u8]) -> bool {
    let start = br#"{"line":"header""#;
    bytes.starts_with(start) || start.starts_with(bytes)
}

fn jobs(request: &Request, state: &FanOut, shards: &[Part]) -> Result<Vec<Job>> {
    let open = shards.iter().filter(|shard| !shard.is_done());
    let home = std::path::absolute(criterion_home())?;
    open.map(|part| {
        let bench = match &request.spec {
            Source { path, is_file: true, .. } => request.bench(part.place).part(Some(path)),
            _ => request.bench(part.place).part(None),
        };
        let bench = bench
            .arguments(request.arguments())
            .set("CRITERION_HOME", &home)
            .set("NIGHT_SWEEP_SHARD", part.shard.to_string())
            .set(part.start()?, &part.run_id);
        Ok(Job {
            name: format!("shard {} on {}", part.shard, part.place.name),
            command: bench.command(),
            log: state.folder.path(&format!("{}of{}.log", part.shard.index, part.shard.count)),
            journal: part.journal.clone(),
        })
    })
    .collect()
}
