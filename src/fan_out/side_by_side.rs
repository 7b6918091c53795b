//! Benches side by side: started, watched, stopped together.

use crate::journal::record::Line;
use crate::process::child::last_lines;
use crate::process::signals::{STOPPED, Signals};
use crate::run::progress::Progress;
use anyhow::{Context, Result, bail};
use indicatif::MultiProgress;
use rustix::process::{Pid, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often the processes are looked at.
const PERIOD: Duration = Duration::from_millis(20);
/// How often their journals are.
const JOURNAL_PERIOD: Duration = Duration::from_millis(500);

/// A bench to run.
pub struct Job {
    /// For people.
    pub name: String,
    /// The bench, its arguments and variables.
    pub command: Command,
    /// What it prints is added here.
    pub log: PathBuf,
    /// What it will write to.
    pub journal: PathBuf,
}

/// A bench that ended, or did not start.
pub struct Ended {
    /// For people.
    pub name: String,
    log: PathBuf,
    journal: PathBuf,
    outcome: Result<ExitStatus>,
}

/// Runs all of `jobs` at once until each has ended; one that fails does not stop the others.
/// Signals are handed on.
pub fn side_by_side(jobs: Vec<Job>, signals: &Signals) -> Vec<Ended> {
    let bars = MultiProgress::new();
    let mut running: Vec<Running> =
        jobs.into_iter().enumerate().map(|(place, job)| Running::start(place, job)).collect();
    let mut looked: Option<Instant> = None;
    while running.iter().any(|running| running.process.is_ok()) {
        if let Some(signal) = signals.take() {
            for child in running.iter().filter_map(|running| running.process.as_ref().ok()) {
                // It may have ended this moment; that is seen below.
                let _ = kill_process(Pid::from_child(child), signal);
            }
        }
        let at_journal = looked.is_none_or(|looked| looked.elapsed() >= JOURNAL_PERIOD);
        if at_journal {
            looked = Some(Instant::now());
        }
        for running in &mut running {
            running.look(&bars, at_journal);
        }
        std::thread::sleep(PERIOD);
    }
    running.into_iter().map(Running::ended).collect()
}

/// The process, or how it ended.
struct Running {
    name: String,
    log: PathBuf,
    process: Result<Child, Result<ExitStatus>>,
    watched: Watched,
}

impl Running {
    fn start(place: usize, mut job: Job) -> Running {
        let mut start = || -> Result<Child> {
            let log = OpenOptions::new().create(true).append(true).open(&job.log);
            let log = log.with_context(|| format!("cannot write to {}", job.log.display()))?;
            let program = job.command.get_program().to_string_lossy().into_owned();
            // Of a process group of its own: a terminal's Ctrl-C reaches it once, through us. Two
            // end it at once.
            job.command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            job.command.spawn().with_context(|| format!("cannot run {program}"))
        };
        let process = start().map_err(Err);
        let watched = Watched::new(place, &job.name, job.journal);
        Running { name: job.name, log: job.log, process, watched }
    }

    fn look(&mut self, bars: &MultiProgress, at_journal: bool) {
        let Ok(child) = &mut self.process else { return };
        let ended = child.try_wait().transpose();
        if at_journal || ended.is_some() {
            self.watched.look(bars);
        }
        if let Some(ended) = ended {
            self.watched.finish();
            self.process = Err(ended.map_err(Into::into));
        }
    }

    fn ended(self) -> Ended {
        let outcome = match self.process {
            Err(outcome) => outcome,
            Ok(_) => unreachable!("it is waited for"),
        };
        Ended { name: self.name, log: self.log, journal: self.watched.path, outcome }
    }
}

impl Ended {
    /// Whether it measured everything; a filter that matches nothing leaves no journal.
    pub fn is_done(&self) -> bool {
        self.outcome.as_ref().is_ok_and(ExitStatus::success) && self.journal.exists()
    }

    /// Whether it stopped because it was asked to, maybe before it listened.
    pub fn is_stopped(&self, signals: &Signals) -> bool {
        let by_signal = |status: &ExitStatus| status.signal().is_some() && signals.code().is_some();
        self.stopped_with().is_some() || self.outcome.as_ref().is_ok_and(by_signal)
    }

    /// Its exit code, if it is one of those that a stopped bench has.
    pub fn stopped_with(&self) -> Option<u8> {
        let code = self.outcome.as_ref().ok()?.code()?;
        STOPPED.into_iter().find(|stopped| i32::from(*stopped) == code)
    }

    /// What happened, with the last that it printed.
    pub fn describe(&self) -> String {
        let log = self.log.display();
        match &self.outcome {
            Err(error) => format!("{}: {error:#}", self.name),
            Ok(status) => {
                let last = last_lines(&std::fs::read(&self.log).unwrap_or_default());
                format!("{} ended with {status}: {last} (all of it: {log})", self.name)
            }
        }
    }
}

/// A journal that grows: how far its run is.
struct Watched {
    /// Of its bar among the others.
    place: usize,
    name: String,
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// The line that is not yet whole.
    line: Vec<u8>,
    /// Lines behind the header.
    done: usize,
    progress: Option<Progress>,
    total: usize,
}

impl Watched {
    fn new(place: usize, name: &str, path: PathBuf) -> Watched {
        Watched {
            place,
            name: name.to_owned(),
            path,
            file: None,
            line: Vec::new(),
            done: 0,
            progress: None,
            total: 0,
        }
    }

    /// Reads what was added. A journal that cannot be read is the process's business, which will
    /// say so.
    fn look(&mut self, bars: &MultiProgress) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok().map(BufReader::new);
        }
        let Some(file) = &mut self.file else { return };
        loop {
            match file.read_until(b'\n', &mut self.line) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(1..) if self.line.ends_with(b"\n") => {}
                _ => break,
            }
            if self.total == 0 {
                if let Ok(Line::Header(header)) = serde_json::from_slice(&self.line) {
                    self.total = header.cases.len() * header.protocol.trials;
                }
            } else {
                // A stop and a failure are lines too, and a failure drops trials: close enough for
                // a bar.
                self.done = (self.done + 1).min(self.total);
            }
            self.line.clear();
        }
        if self.total > 0 {
            let (name, done, total) = (&self.name, self.done, self.total);
            let progress = self
                .progress
                .get_or_insert_with(|| Progress::among(bars, self.place, name, done, total));
            progress.advance_to(done);
        }
    }

    fn finish(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

/// Stops here if a shard failed, and says which.
pub fn failed(ended: &[Ended], signals: &Signals) -> Result<()> {
    let failed: Vec<String> = ended
        .iter()
        .filter(|ended| !ended.is_done() && !ended.is_stopped(signals))
        .map(Ended::describe)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let done = ended.iter().filter(|ended| ended.is_done()).count();
    bail!(
        "{}; {done} others are done; what is measured is kept: the same command goes on with what \
         is missing",
        failed.join("; ")
    )
}
