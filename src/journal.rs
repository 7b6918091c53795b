//! The run journal: appended to as a run goes, read to report it, resume it or merge its shards.
//!
//! A line counts once its newline is on disk. A process killed in the middle of a write leaves a last line
//! without one, which is dropped; anything else that cannot be read is an error with its line number.

use crate::record::{End, Failure, Header, Line, SCHEMA_VERSION, Visit};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the journal in the folder of its run.
pub const FILE_NAME: &str = "journal.jsonl";

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
    pub visits: Vec<Visit>,
    /// What could not be timed, in the order met.
    pub failures: Vec<Failure>,
    /// How the run ended; none if it was killed, or resumed and then killed.
    pub end: Option<End>,
    /// The journal itself.
    pub path: PathBuf,
}

impl Journal {
    /// Starts `<dir>/journal.jsonl` with its header, and makes the folder if need be.
    ///
    /// # Errors
    /// If there is a journal already, or the disk refuses.
    pub fn create(dir: &Path, header: Header) -> Result<Journal> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let path = dir.join(FILE_NAME);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot start the journal {}", path.display()))?;
        claim(&file, &path)?;
        let mut journal = Journal { file, path };
        journal.append(&Line::Header(Box::new(header)))?;
        Ok(journal)
    }

    /// Opens `<dir>/journal.jsonl` to go on with its run; a last line cut short is removed.
    ///
    /// # Errors
    /// As [`read`], and if the file cannot be written.
    pub fn reopen(dir: &Path) -> Result<(Journal, Run)> {
        let path = dir.join(FILE_NAME);
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot append to {}", path.display()))?;
        claim(&file, &path)?;
        let bytes = read_bytes(&path)?;
        let run = parse(&path, &bytes)?;
        file.set_len(whole_lines(&bytes).len() as u64)
            .with_context(|| format!("cannot truncate {}", path.display()))?;
        Ok((Journal { file, path }, run))
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line, and returns once it is on disk.
    ///
    /// # Errors
    /// If the disk refuses, or a sample of a visit is no positive number.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        if let Line::Visit(visit) = line {
            check_samples(visit)?;
        }
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write to {}", self.path.display()))
    }
}

impl Run {
    /// The visits of a case, by round.
    pub fn visits_of(&self, case_id: &str) -> Vec<&Visit> {
        let mut visits: Vec<_> =
            self.visits.iter().filter(|visit| visit.case_id == case_id).collect();
        visits.sort_by_key(|visit| visit.round);
        visits
    }

    /// Why a case could not be timed, if it could not.
    pub fn failure_of(&self, case_id: &str) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.case_id == case_id)
    }

    /// The cases and rounds that are neither timed nor settled by a failure.
    pub fn open_visits(&self) -> Vec<(&str, usize)> {
        let visited: HashSet<_> =
            self.visits.iter().map(|visit| (&*visit.case_id, visit.round)).collect();
        let failed: HashSet<_> = self.failures.iter().map(|failure| &*failure.case_id).collect();
        let ids = self.header.cases.iter().map(|case| &*case.id).filter(|id| !failed.contains(id));
        ids.flat_map(|id| (0..self.header.protocol.trials).map(move |round| (id, round)))
            .filter(|visit| !visited.contains(visit))
            .collect()
    }

    /// Wall-clock seconds: to its end, or of its visits alone where it was killed.
    pub fn wall_s(&self) -> f64 {
        let visits = || self.visits.iter().map(|visit| visit.wall_s).sum();
        self.end.as_ref().map_or_else(visits, |end| end.wall_s)
    }
}

/// Reads a journal, whether its run ended, was killed or is still going.
///
/// # Errors
/// If the file cannot be read, is empty, does not start with a header of this major [`SCHEMA_VERSION`], or has
/// a broken line that is not merely the last one cut short; the message names the path and the line.
pub fn read(path: &Path) -> Result<Run> {
    parse(path, &read_bytes(path)?)
}

/// Keeps other processes from writing to the journal until this one closes it or ends, however it ends: two that
/// append to one run leave visits that stand twice, which no reader takes.
pub(crate) fn claim(file: &File, path: &Path) -> Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => bail!("{}: another process is writing to it", path.display()),
        // A file system without locks, as some of a cluster are, is no reason not to measure.
        _ => Ok(()),
    }
}

/// Whether a process is writing to the journal.
pub fn is_being_written(path: &Path) -> bool {
    let lock = |file: File| flock(&file, FlockOperation::NonBlockingLockShared);
    File::open(path).is_ok_and(|file| lock(file) == Err(Errno::WOULDBLOCK))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the journal {}", path.display()))
}

/// Everything up to the last newline.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    &bytes[..end]
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Run> {
    let whole = whole_lines(bytes);
    ensure!(
        !whole.is_empty(),
        "{}: empty, or killed before its first line was written",
        path.display()
    );
    let mut lines = whole.strip_suffix(b"\n").unwrap_or(whole).split(|&byte| byte == b'\n');
    let at = |number: usize| format!("{}:{number}", path.display());

    let header = parse_header(lines.next().unwrap_or_default()).with_context(|| at(1))?;
    let mut run =
        Run { header, visits: Vec::new(), failures: Vec::new(), end: None, path: path.to_owned() };
    let known: HashSet<String> = run.header.cases.iter().map(|case| case.id.clone()).collect();
    let mut visited = HashSet::new();
    for (index, line) in lines.enumerate() {
        let line: Line = serde_json::from_slice(line)
            .context("not a line of a run journal")
            .with_context(|| at(index + 2))?;
        add(&mut run, line, &known, &mut visited).with_context(|| at(index + 2))?;
    }
    Ok(run)
}

/// The version is looked at first: another major version may well have other fields.
fn parse_header(line: &[u8]) -> Result<Header> {
    let value: serde_json::Value =
        serde_json::from_slice(line).context("not a line of a run journal")?;
    ensure!(value["line"] == "header", "the first line is no header: is this a run journal?");
    let version = value["schema_version"].as_str().unwrap_or("none");
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(version) == major(SCHEMA_VERSION),
        "schema version {version}, but this program reads {SCHEMA_VERSION}"
    );
    match serde_json::from_value(value)? {
        Line::Header(header) => Ok(*header),
        _ => Err(anyhow!("the first line is no header")),
    }
}

fn add(
    run: &mut Run,
    line: Line,
    known: &HashSet<String>,
    visited: &mut HashSet<(String, usize)>,
) -> Result<()> {
    match line {
        Line::Header(_) => bail!("a second header"),
        Line::Visit(visit) => {
            ensure!(known.contains(&visit.case_id), "the header has no case {}", visit.case_id);
            ensure!(
                visited.insert((visit.case_id.clone(), visit.round)),
                "a second visit of {} in round {}",
                visit.case_id,
                visit.round
            );
            check_samples(&visit)?;
            // A resumed run goes on behind its End: only one that nothing follows says how the run ended.
            run.end = None;
            run.visits.push(*visit);
        }
        Line::Failure(failure) => {
            ensure!(known.contains(&failure.case_id), "the header has no case {}", failure.case_id);
            run.end = None;
            run.failures.push(failure);
        }
        Line::End(end) => run.end = Some(end),
    }
    Ok(())
}

/// A time of zero, a negative one, an infinity or NaN is a broken clock, and no statistics should hide it.
fn check_samples(visit: &Visit) -> Result<()> {
    ensure!(!visit.samples_ms.is_empty(), "{} has no sample", visit.case_id);
    for (index, &sample) in visit.samples_ms.iter().enumerate() {
        ensure!(
            sample.is_finite() && sample > 0.0,
            "{}: sample {index} of round {} is {sample} ms",
            visit.case_id,
            visit.round
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Gemm, Operation};
    use crate::record::{ErrorKind, Protocol, ProtocolKind, Ran, Spent, Status, Verification};
    use crate::shape::{DType, GemmShape};
    use serde_json::json;

    fn header() -> Header {
        let gemm = |k| Operation::Gemm(Gemm::dense(GemmShape { m: 64, n: 64, k }));
        Header {
            schema_version: SCHEMA_VERSION.to_owned(),
            run_id: "20260101_000000_G3".to_owned(),
            group: "G3".to_owned(),
            experiment: "G3_gemm_k_dense".to_owned(),
            config: json!({"type": "gemm_k_dense"}),
            device: "cpu".to_owned(),
            seed: 42,
            protocol: Protocol { kind: ProtocolKind::Standard, warmup: 1, measure: 2, trials: 2 },
            shard: None,
            sweep: Vec::new(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            env: json!({"host": {"cpu": "Zählwerk"}}),
            calibration: None,
            cases: vec![
                Case::row("G3", "fp16", "K1", 1, DType::Fp16, gemm(1)),
                Case::row("G3", "fp16", "K2", 2, DType::Fp16, gemm(2)),
            ],
        }
    }

    fn visit(case_id: &str, round: usize, samples_ms: Vec<f64>) -> Visit {
        Visit {
            case_id: case_id.to_owned(),
            round,
            started_at: "2026-01-01T00:00:01Z".to_owned(),
            wall_s: 0.5,
            samples_ms,
            launches_per_sample: 1,
            warmup_launches: 1,
            ran: Ran {
                kernels: vec![],
                backend_selected: None,
                backend_reason: None,
                verification: Verification { max_rel_error: 1e-4, tolerance: 1e-2, rows: 8 },
                algorithm: None,
            },
            aside: None,
            clocks: None,
            spent: Spent::default(),
        }
    }

    fn boxed(case_id: &str, round: usize, samples_ms: Vec<f64>) -> Box<Visit> {
        Box::new(visit(case_id, round, samples_ms))
    }

    fn failure() -> Failure {
        Failure {
            case_id: "G3/fp16/K2".to_owned(),
            round: 0,
            error_kind: ErrorKind::OutOfMemory,
            error: "größer als der Speicher".to_owned(),
        }
    }

    fn lines() -> Vec<Line> {
        vec![
            Line::Visit(boxed("G3/fp16/K1", 0, vec![0.1, 0.2])),
            Line::Failure(failure()),
            Line::Visit(boxed("G3/fp16/K1", 1, vec![0.3])),
            Line::End(End { status: Status::Complete, wall_s: 2.0 }),
        ]
    }

    fn written(dir: &Path, lines: &[Line]) -> PathBuf {
        let mut journal = Journal::create(dir, header()).unwrap();
        lines.iter().for_each(|line| journal.append(line).unwrap());
        journal.path().to_owned()
    }

    fn error_of(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, text).unwrap();
        format!("{:#}", read(&path).unwrap_err())
    }

    fn as_text(lines: &[Line]) -> String {
        lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let run = read(&written(dir.path(), &lines())).unwrap();
        assert_eq!(run.header, header());
        assert_eq!(run.failures, [failure()]);
        assert_eq!(run.end, Some(End { status: Status::Complete, wall_s: 2.0 }));
        let rounds: Vec<_> =
            run.visits_of("G3/fp16/K1").iter().map(|v| v.samples_ms.clone()).collect();
        assert_eq!(rounds, [vec![0.1, 0.2], vec![0.3]]);
        assert!(run.visits_of("G3/fp16/K2").is_empty());
        assert_eq!(run.failure_of("G3/fp16/K2"), Some(&failure()));
        assert!(run.failure_of("G3/fp16/K1").is_none());
    }

    #[test]
    fn an_existing_journal_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), &lines());
        let before = fs::read(&path).unwrap();
        let error = format!("{:#}", Journal::create(dir.path(), header()).unwrap_err());
        assert!(error.contains(FILE_NAME), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn cut_at_any_byte_it_keeps_its_whole_lines_and_can_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = fs::read(written(dir.path(), &lines())).unwrap();
        let header_bytes = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in 0..=bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE_NAME);
            fs::write(&path, &bytes[..cut]).unwrap();
            if cut < header_bytes {
                assert!(Journal::reopen(dir.path()).is_err(), "cut at {cut}");
                continue;
            }
            let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count() - 1;
            let (mut journal, run) = Journal::reopen(dir.path()).unwrap();
            let events = run.visits.len() + run.failures.len() + usize::from(run.end.is_some());
            assert_eq!(events, whole, "cut at {cut}");
            lines()[whole..].iter().for_each(|line| journal.append(line).unwrap());
            assert_eq!(fs::read(&path).unwrap(), bytes, "cut at {cut}");
        }
    }

    #[test]
    fn an_end_that_something_follows_is_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = lines();
        let end = lines.remove(3);
        lines.insert(1, end);
        assert_eq!(read(&written(dir.path(), &lines)).unwrap().end, None);
    }

    #[test]
    fn a_broken_file_says_where_and_why() {
        let header_line = as_text(&[Line::Header(Box::new(header()))]);
        assert!(error_of("").contains("empty"));
        assert!(error_of("hello\n").contains(":1: not a line"));
        assert!(error_of(&as_text(&lines())).contains(":1: the first line is no header"));
        let broken = error_of(&format!("{header_line}{{\"line\":\n{}", as_text(&lines())));
        assert!(broken.contains("journal.jsonl:2: not a line"), "{broken}");
        let twice = error_of(&format!("{header_line}{header_line}"));
        assert!(twice.contains(":2: a second header"), "{twice}");
        let other = error_of(
            &header_line.replace("\"schema_version\":\"1.1\"", "\"schema_version\":\"2.0\""),
        );
        assert!(other.contains("schema version 2.0"), "{other}");
        let repeated = error_of(&format!("{header_line}{0}{0}", as_text(&lines()[..1])));
        assert!(repeated.contains(":3: a second visit of G3/fp16/K1 in round 0"), "{repeated}");
        let stranger = Line::Visit(boxed("G3/fp16/K9", 0, vec![1.0]));
        let stranger = error_of(&format!("{header_line}{}", as_text(&[stranger])));
        assert!(stranger.contains(":2: the header has no case G3/fp16/K9"), "{stranger}");
    }

    #[test]
    fn a_minor_version_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let newer = Header { schema_version: "1.7".to_owned(), ..header() };
        let journal = Journal::create(dir.path(), newer).unwrap();
        assert_eq!(read(journal.path()).unwrap().header.schema_version, "1.7");
    }

    #[test]
    fn a_sample_that_is_no_time_is_refused_with_its_case() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), header()).unwrap();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let line = Line::Visit(boxed("G3/fp16/K1", 1, vec![0.1, bad]));
            let error = format!("{:#}", journal.append(&line).unwrap_err());
            assert!(error.contains("G3/fp16/K1: sample 1 of round 1"), "{error}");
        }
        assert!(journal.append(&Line::Visit(boxed("G3/fp16/K1", 0, vec![]))).is_err());
        assert!(read(journal.path()).unwrap().visits.is_empty());

        let header_line = as_text(&[Line::Header(Box::new(header()))]);
        let zero = as_text(&[Line::Visit(boxed("G3/fp16/K1", 0, vec![0.0]))]);
        let error = error_of(&format!("{header_line}{zero}"));
        assert!(error.contains(":2: G3/fp16/K1: sample 0 of round 0 is 0 ms"), "{error}");
    }
}
