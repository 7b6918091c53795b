//! From the lines of a journal to its run.

use crate::files::{self, RUN_BYTES, cannot};
use crate::journal::check;
use crate::journal::record::{Header, Line, SCHEMA_VERSION, Start};
use crate::journal::run::Run;
use crate::terminal::text::shell;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

/// Reads a journal, whether its run ended, was killed or is still going. An error names the path
/// and the line.
pub fn read(path: &Path) -> Result<Run> {
    parse(path, &read_bytes(path)?)
}

pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    files::read(path, RUN_BYTES).with_context(cannot("read the journal", path))
}

pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    &bytes[..end]
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Run> {
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
    let is_known = |id: &String| match known.contains(id) {
        true => Ok(()),
        false => Err(anyhow!("the header has no case {id}")),
    };
    let mut is_new = |id: &String, what: Measured| measured.insert((id.clone(), what));
    // A resumed run goes on behind its End: only one that nothing follows says how the run ended.
    run.end = None;
    match line {
        Line::Header(_) => bail!("a second header"),
        Line::Trial(trial) => {
            let (id, number) = (&trial.case_id, trial.trial);
            is_known(id)?;
            let trials = run.header.protocol.most_trials();
            ensure!(number < trials, "trial {number} of {trials}, from 0");
            let is_new = is_new(id, Measured::Trial(number));
            ensure!(is_new, "a second trial of {id} in trial {number}");
            run.trials.push(*trial);
        }
        Line::Secondary(secondary) => {
            let id = &secondary.case_id;
            is_known(id)?;
            ensure!(is_new(id, Measured::Secondary), "secondary timings of {id}, again");
            run.secondary.push(*secondary);
        }
        Line::Energy(energy) => {
            let id = &energy.case_id;
            is_known(id)?;
            ensure!(is_new(id, Measured::Energy), "the energy of {id}, again");
            run.energy.push(*energy);
        }
        Line::Failure(failure) => {
            is_known(&failure.case_id)?;
            run.failures.push(failure);
        }
        Line::Start(start) => run.starts.push(start),
        Line::End(end) => run.end = Some(end),
    }
    Ok(())
}
