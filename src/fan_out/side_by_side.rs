//! Benches side by side: started, watched, stopped together.

use crate::files::{self, cannot};
use crate::journal::record::Line;
use crate::process::child::{last_lines, paused};
use crate::process::signals::{STOPPED, Signals};
use crate::process::watched::{PERIOD, Watched};
use crate::run::progress::Progress;
use crate::terminal::say;
use anyhow::{Context, Result, ensure};
use indicatif::MultiProgress;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// A shard ends between two trials; one that does not is killed, and its journal is whole.
const GRACE: Duration = Duration::from_secs(120);
const JOURNAL_PERIOD: Duration = Duration::from_millis(500);

pub struct Job {
    pub name: String,
    pub command: Command,
    pub log: PathBuf,
    pub journal: PathBuf,
}

/// A bench that ended, or did not start.
pub struct Ended {
    job: Job,
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
            for child in running.iter_mut().filter_map(|running| running.process.as_mut().ok()) {
                child.ask(signal);
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
    let ended = running.into_iter().map(|Running { job, process, .. }| match process {
        Err(outcome) => Ended { job, outcome },
        Ok(_) => unreachable!("it is waited for"),
    });
    ended.collect()
}

/// The process, or how it ended, and how far its journal is.
struct Running {
    job: Job,
    process: Result<Watched, Result<ExitStatus>>,
    /// Of its bar among the others.
    place: usize,
    file: Option<BufReader<File>>,
    /// The line that is not yet whole.
    line: Vec<u8>,
    /// Lines behind the header.
    done: usize,
    total: usize,
    progress: Option<Progress>,
}

impl Running {
    fn start(place: usize, job: Job) -> Running {
        let start = || -> Result<Watched> {
            let log = OpenOptions::new().create(true).append(true).open(&job.log);
            let log = log.with_context(cannot("write to", &job.log))?;
            let program = job.command.get_program().to_string_lossy().into_owned();
            Watched::start(&job.command, [log.try_clone()?, log], GRACE)
                .with_context(|| format!("cannot run {program}"))
        };
        let (process, line) = (start().map_err(Err), Vec::new());
        Running { job, process, place, file: None, line, done: 0, total: 0, progress: None }
    }

    fn look(&mut self, bars: &MultiProgress, at_journal: bool) {
        let Ok(child) = &mut self.process else { return };
        let ended = child.try_wait().transpose();
        if child.was_paused() {
            say(&paused(&self.job.name, child.id()));
        }
        if at_journal || ended.is_some() {
            self.read_on(bars);
        }
        if let Some(ended) = ended {
            self.progress.take().inspect(Progress::finish);
            self.process = Err(ended.map_err(Into::into));
        }
    }

    /// Reads what was added. A journal that cannot be read is the process's business, which will
    /// say so.
    fn read_on(&mut self, bars: &MultiProgress) {
        if self.file.is_none() {
            self.file = files::open(&self.job.journal).ok().map(BufReader::new);
        }
        let Some(file) = &mut self.file else { return };
        loop {
            match file.read_until(b'\n', &mut self.line) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(1..) if self.line.ends_with(b"\n") => {}
                _ => break,
            }
            if self.total > 0 {
                // A stop and a failure are lines too, and a failure drops trials: close enough for
                // a bar.
                self.done = (self.done + 1).min(self.total);
            } else if let Ok(Line::Header(header)) = serde_json::from_slice(&self.line) {
                self.total = header.cases.len() * header.protocol.trials;
            }
            self.line.clear();
        }
        if self.total > 0 {
            let (name, done, total) = (&self.job.name, self.done, self.total);
            let new = || Progress::among(bars, self.place, name, done, total);
            self.progress.get_or_insert_with(new).advance_to(done);
        }
    }
}

impl Ended {
    /// Whether it measured everything; a filter that matches nothing leaves no journal.
    pub fn is_done(&self) -> bool {
        self.outcome.as_ref().is_ok_and(ExitStatus::success) && self.job.journal.exists()
    }

    pub fn stopped_with(&self) -> Option<u8> {
        let code = self.outcome.as_ref().ok()?.code()?;
        STOPPED.into_iter().find(|stopped| i32::from(*stopped) == code)
    }

    /// What happened, with the last that it printed.
    pub fn describe(&self) -> String {
        let Job { name, log, .. } = &self.job;
        match &self.outcome {
            Err(error) => format!("{name}: {error:#}"),
            Ok(status) => {
                let last = last_lines(&files::read(log, files::LARGE_BYTES).unwrap_or_default());
                format!("{name} ended with {status}: {last} (all of it: {})", log.display())
            }
        }
    }
}

pub fn failed(ended: &[Ended], signals: &Signals) -> Result<()> {
    // One that was asked to stop may have ended by the signal, before it listened.
    let by_signal = |status: &ExitStatus| status.signal().is_some() && signals.code().is_some();
    let is_stopped = |ended: &Ended| {
        ended.stopped_with().is_some() || ended.outcome.as_ref().is_ok_and(by_signal)
    };
    let (done, open): (Vec<&Ended>, Vec<&Ended>) = ended.iter().partition(|ended| ended.is_done());
    let failed = open.into_iter().filter(|ended| !is_stopped(ended)).map(Ended::describe);
    let failed: Vec<String> = failed.collect();
    ensure!(
        failed.is_empty(),
        "{}; {} others are done; what is measured is kept: the same command goes on with what is \
         missing",
        failed.join("; "),
        done.len()
    );
    Ok(())
}
