//! The run journal: appended to as a run goes, read to report it, resume it or merge its shards.
//!
//! A line counts once its newline is on disk. A process killed in the middle of a write leaves a
//! last line without one, which is dropped; anything else that cannot be read is an error with its
//! line number. A journal that is there at all has its header: it gets its name only then.

pub(crate) mod check;
pub(crate) mod home;
pub(crate) mod merge;
pub mod record;
pub(crate) mod runs;
pub(crate) mod shard;

use crate::files::{self, RUN_BYTES, cannot, not_a_link, remove_own, rename_own, sync_dir};
use crate::journal::record::{End, Failure, Header, Line, SCHEMA_VERSION, Start};
use crate::measure::record::{Energy, Secondary, Trial};
use crate::terminal::text::shell;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name of the journal in the folder of its run.
pub const FILE_NAME: &str = "journal.jsonl";

const NEW_FILE_NAME: &str = "journal.new";

/// A run that no other process can start.
#[derive(Debug)]
pub struct Claim {
    file: File,
    dir: PathBuf,
}

/// A journal open for writing.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// Everything a journal says of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What was to be run.
    pub header: Header,
    /// What was timed, in the order measured.
    pub trials: Vec<Trial>,
    /// What was timed in other ways as well.
    pub secondary: Vec<Secondary>,
    /// Whose energy was measured.
    pub energy: Vec<Energy>,
    /// What could not be timed, in the order met.
    pub failures: Vec<Failure>,
    /// Each process that worked on it, in order; a merged run names only the first of its first
    /// shard.
    pub starts: Vec<Start>,
    /// How the run ended; none if it was killed, or resumed and then killed.
    pub end: Option<End>,
    /// The journal itself.
    pub path: PathBuf,
}

impl Claim {
    /// Makes the folder `dir` if need be, and keeps other processes from starting a journal there.
    pub fn of(dir: &Path) -> Result<Claim> {
        not_a_link(dir)?;
        fs::create_dir_all(dir).with_context(cannot("create", dir))?;
        let (path, new) = (dir.join(FILE_NAME), dir.join(NEW_FILE_NAME));
        not_a_link(&new)?;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&new)
            .with_context(cannot("start the journal", &path))?;
        lock(&file, &new)?;
        // Looked for under the lock: whoever held it before may have started one.
        if path.symlink_metadata().is_ok() {
            let _ = remove_own(&new);
            bail!("there is a journal {} already", path.display());
        }
        Ok(Claim { file, dir: dir.to_owned() })
    }

    /// Starts `<dir>/journal.jsonl` with its header.
    pub fn start(self, header: Header) -> Result<Journal> {
        self.start_with(&[Line::Header(Box::new(header))])
    }

    /// The same with these lines, the first of which is the header.
    pub fn start_with(self, lines: &[Line]) -> Result<Journal> {
        let (path, new) = (self.dir.join(FILE_NAME), self.dir.join(NEW_FILE_NAME));
        let context = || format!("cannot start the journal {}", path.display());
        ensure!(
            inode(fs::metadata(&new)) == inode(self.file.metadata()),
            "{} was replaced by another process as this run started",
            self.dir.display()
        );
        // What a process left that was killed before its header was whole.
        self.file.set_len(0).with_context(context)?;
        let mut journal = Journal { file: self.file, path: path.clone() };
        journal.write(&lines.iter().map(text).collect::<Result<String>>()?)?;
        // Never in place of a file: file systems without locks have that at least.
        rename_own(&new, &path).with_context(context)?;
        sync_dir(&self.dir)?;
        Ok(journal)
    }
}

impl Journal {
    /// Starts `<dir>/journal.jsonl` with its header, and makes the folder if need be.
    pub fn create(dir: &Path, header: Header) -> Result<Journal> {
        Claim::of(dir)?.start(header)
    }

    /// Opens `<dir>/journal.jsonl` to go on with its run, if `is_allowed` lets it; then a last line
    /// cut short is removed. A journal that is refused is left as it is.
    pub fn reopen(
        dir: &Path,
        is_allowed: impl FnOnce(&Run) -> Result<()>,
    ) -> Result<(Journal, Run)> {
        let path = dir.join(FILE_NAME);
        not_a_link(dir)?;
        not_a_link(&path)?;
        let file = files::open_to_append(&path).with_context(cannot("append to", &path))?;
        lock(&file, &path)?;
        let bytes = read_bytes(&path)?;
        let run = parse(&path, &bytes)?;
        is_allowed(&run)?;
        file.set_len(whole_lines(&bytes).len() as u64).with_context(cannot("truncate", &path))?;
        Ok((Journal { file, path }, run))
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line, and returns once it is on disk.
    ///
    /// # Errors
    /// If it cannot be written, a reader would refuse it, or the journal is no longer there.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        self.write(&text(line)?)?;
        ensure!(
            self.is_there(),
            "{} was removed or replaced as the run went on, and what it held with it",
            self.path.display()
        );
        Ok(())
    }

    /// Whether the file that is written to still has its name.
    pub fn is_there(&self) -> bool {
        inode(fs::metadata(&self.path))
            .is_some_and(|there| Some(there) == inode(self.file.metadata()))
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(cannot("write to", &self.path))
    }
}

impl Run {
    /// What it says of each case.
    pub fn by_case(&self) -> ByCase<'_> {
        ByCase::of(self)
    }

    /// The cases and trials that are neither timed nor settled by a failure.
    pub fn open_trials(&self) -> Vec<(&str, usize)> {
        let timed: HashSet<_> =
            self.trials.iter().map(|trial| (&*trial.case_id, trial.trial)).collect();
        let failed: HashSet<_> = self.failures.iter().map(|failure| &*failure.case_id).collect();
        let ids = self.header.cases.iter().map(|case| &*case.id).filter(|id| !failed.contains(id));
        ids.flat_map(|id| (0..self.header.protocol.trials).map(move |trial| (id, trial)))
            .filter(|trial| !timed.contains(trial))
            .collect()
    }

    /// The machine as env.json has it: how the run was started, and every time that it was resumed.
    pub fn env(&self) -> Value {
        let mut env = self.header.env.clone();
        if let Some(env) = env.as_object_mut().filter(|env| !env.contains_key("shards")) {
            env.insert("starts".to_owned(), serde_json::json!(self.starts));
        }
        env
    }

    /// Wall-clock seconds: to its end, or of its trials alone where it was killed.
    pub fn wall_s(&self) -> f64 {
        let trials = || {
            let secondary = self.secondary.iter().map(|secondary| secondary.wall_s);
            let energy = self.energy.iter().map(|energy| energy.wall_s);
            self.trials.iter().map(|trial| trial.wall_s).chain(secondary).chain(energy).sum()
        };
        self.end.as_ref().map_or_else(trials, |end| end.wall_s)
    }
}

/// A run by its cases: a sweep has up to 100,000, too many to search the run for each.
pub struct ByCase<'a> {
    trials: HashMap<&'a str, Vec<&'a Trial>>,
    secondary: HashMap<&'a str, &'a Secondary>,
    energy: HashMap<&'a str, &'a Energy>,
    failures: HashMap<&'a str, &'a Failure>,
}

impl<'a> ByCase<'a> {
    fn of(run: &'a Run) -> Self {
        let mut trials: HashMap<&str, Vec<&Trial>> = HashMap::new();
        for trial in &run.trials {
            trials.entry(&trial.case_id).or_default().push(trial);
        }
        trials.values_mut().for_each(|trials| trials.sort_by_key(|trial| trial.trial));
        let mut failures = HashMap::new();
        for failure in &run.failures {
            failures.entry(&*failure.case_id).or_insert(failure);
        }
        let secondary = run.secondary.iter();
        let secondary = secondary.map(|secondary| (&*secondary.case_id, secondary)).collect();
        let energy = run.energy.iter().map(|energy| (&*energy.case_id, energy)).collect();
        ByCase { trials, secondary, energy, failures }
    }

    /// The trials of a case, by trial.
    pub fn trials(&self, case_id: &str) -> &[&'a Trial] {
        self.trials.get(case_id).map_or(&[], Vec::as_slice)
    }

    /// A case timed in other ways.
    pub fn secondary(&self, case_id: &str) -> Option<&'a Secondary> {
        self.secondary.get(case_id).copied()
    }

    /// The energy of a case.
    pub fn energy(&self, case_id: &str) -> Option<&'a Energy> {
        self.energy.get(case_id).copied()
    }

    /// Why a case could not be timed, if it could not: its first failure.
    pub fn failure(&self, case_id: &str) -> Option<&'a Failure> {
        self.failures.get(case_id).copied()
    }
}

/// Reads a journal, whether its run ended, was killed or is still going. An error names the path
/// and the line.
pub fn read(path: &Path) -> Result<Run> {
    parse(path, &read_bytes(path)?)
}

/// Keeps other processes from writing to the journal until this one closes it or ends, however it
/// ends: two that append to one run leave trials that stand twice, which no reader takes.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => bail!("{}: another process is writing to it", path.display()),
        // A file system without locks, as some of a cluster are, is no reason not to measure.
        _ => Ok(()),
    }
}

/// Whether a process is writing to the journal.
pub fn is_being_written(path: &Path) -> bool {
    let lock = |file: File| flock(&file, FlockOperation::NonBlockingLockShared);
    files::open(path).is_ok_and(|file| lock(file) == Err(Errno::WOULDBLOCK))
}

/// A line as it is on disk; nothing that [`read`] would refuse.
fn text(line: &Line) -> Result<String> {
    check::line(line)?;
    let text = serde_json::to_string(line)?;
    check::texts(text.as_bytes())?;
    Ok(text + "\n")
}

fn inode(metadata: std::io::Result<Metadata>) -> Option<(u64, u64)> {
    metadata.ok().map(|file| (file.dev(), file.ino()))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    files::read(path, RUN_BYTES).with_context(cannot("read the journal", path))
}

fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    &bytes[..end]
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Run> {
    let whole = whole_lines(bytes);
    ensure!(
        !whole.is_empty(),
        "{}: empty, or cut short within its first line: there is nothing in it",
        path.display()
    );
    let mut lines = whole.strip_suffix(b"\n").unwrap_or(whole).split(|&byte| byte == b'\n');
    let at = |number: usize| format!("{}:{number}", path.display());

    let header = parse_header(lines.next().unwrap_or_default()).with_context(|| at(1))?;
    let mut run = Run {
        starts: vec![Start::of(&header)],
        header,
        trials: Vec::new(),
        secondary: Vec::new(),
        energy: Vec::new(),
        failures: Vec::new(),
        end: None,
        path: path.to_owned(),
    };
    let known: HashSet<String> = run.header.cases.iter().map(|case| case.id.clone()).collect();
    let mut measured = HashSet::new();
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        check::texts(line)
            .and_then(|()| serde_json::from_slice(line).context("not a line of a run journal"))
            .and_then(|line| add(&mut run, line, &known, &mut measured))
            .map_err(|e| anyhow!("{}: {e:#}; {}", at(number), advice(&run.header, path, number)))?;
    }
    Ok(run)
}

fn advice(header: &Header, path: &Path, number: usize) -> String {
    let minor = |version: &str| version.split('.').nth(1)?.parse::<u64>().ok();
    if minor(&header.schema_version) > minor(SCHEMA_VERSION) {
        let version = &header.schema_version;
        return format!(
            "a newer night-sweep wrote it (schema version {version}, this one reads \
             {SCHEMA_VERSION}): use that one"
        );
    }
    // Every line stands for itself.
    format!("the others can be used without it: `sed -i.bak {number}d {}`", shell(path))
}

/// The version is looked at first: another major version may well have other fields.
fn parse_header(line: &[u8]) -> Result<Header> {
    let value: Value = serde_json::from_slice(line).context("not a line of a run journal")?;
    ensure!(value["line"] == "header", "the first line is no header: is this a run journal?");
    let version = value["schema_version"].as_str().unwrap_or("none");
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(version) == major(SCHEMA_VERSION),
        "schema version {version}, but this program reads {SCHEMA_VERSION}: use the night-sweep \
         that wrote it"
    );
    match serde_json::from_value(value)? {
        Line::Header(header) => {
            check::texts(line)?;
            check::header(&header).map(|()| *header)
        }
        _ => Err(anyhow!("the first line is no header")),
    }
}

/// What a journal has once of each case.
#[derive(PartialEq, Eq, Hash)]
enum Measured {
    Trial(usize),
    Secondary,
    Energy,
}

fn add(
    run: &mut Run,
    line: Line,
    known: &HashSet<String>,
    measured: &mut HashSet<(String, Measured)>,
) -> Result<()> {
    check::line(&line)?;
    match line {
        Line::Header(_) => bail!("a second header"),
        Line::Trial(trial) => {
            ensure!(known.contains(&trial.case_id), "the header has no case {}", trial.case_id);
            let trials = run.header.protocol.most_trials();
            ensure!(trial.trial < trials, "trial {} of {trials}, from 0", trial.trial);
            ensure!(
                measured.insert((trial.case_id.clone(), Measured::Trial(trial.trial))),
                "a second trial of {} in trial {}",
                trial.case_id,
                trial.trial
            );
            // A resumed run goes on behind its End: only one that nothing follows says how the run
            // ended.
            run.end = None;
            run.trials.push(*trial);
        }
        Line::Secondary(secondary) => {
            let id = &secondary.case_id;
            ensure!(known.contains(id), "the header has no case {id}");
            let is_new = measured.insert((id.clone(), Measured::Secondary));
            ensure!(is_new, "secondary timings of {id}, again");
            run.end = None;
            run.secondary.push(*secondary);
        }
        Line::Energy(energy) => {
            let id = &energy.case_id;
            ensure!(known.contains(id), "the header has no case {id}");
            let is_new = measured.insert((id.clone(), Measured::Energy));
            ensure!(is_new, "the energy of {id}, again");
            run.end = None;
            run.energy.push(*energy);
        }
        Line::Failure(failure) => {
            ensure!(known.contains(&failure.case_id), "the header has no case {}", failure.case_id);
            run.end = None;
            run.failures.push(failure);
        }
        Line::Start(start) => {
            run.end = None;
            run.starts.push(start);
        }
        Line::End(end) => {
            run.end = Some(end);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
