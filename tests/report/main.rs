//! From a journal to a folder of results, for each type of experiment.

#![allow(clippy::unwrap_used)]

mod energy;
mod files;
mod findings;
mod flags;
mod folder;
mod incomplete;
mod numbers;
mod stand_ins;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../synthetic/mod.rs"]
mod synthetic;

use night_sweep::journal;
use night_sweep::journal::record::{Header, Line};
use night_sweep::render::{self, Written, plot};
use night_sweep::results::raw::Raw;
use night_sweep::results::summary::Summary;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use synthetic::{Outcome, g3};
use tempfile::TempDir;

/// A place to report in, with the journal of a run.
struct Bench {
    dir: TempDir,
    journal: PathBuf,
}

impl Bench {
    fn new(header: Header, lines: &[Line]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let journal = synthetic::write(&dir.path().join("journal"), header, lines);
        Bench { dir, journal }
    }

    fn of(group: &str, outcomes: &[Outcome]) -> Bench {
        let (header, lines) = synthetic::journal(group, outcomes);
        Bench::new(header, &lines)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("reports")
    }

    fn criterion_home(&self) -> PathBuf {
        self.dir.path().join("criterion")
    }

    fn try_write(&self, root: &Path) -> anyhow::Result<Written> {
        render::write(&self.journal, &self.criterion_home(), root)
    }

    fn write(&self) -> Written {
        self.try_write(&self.root()).unwrap()
    }

    fn refusal(&self) -> String {
        format!("{:#}", self.try_write(&self.root()).err().unwrap())
    }

    /// What a report writes into `raw.json`, without drawing the plots.
    fn raw(&self) -> Value {
        json!(self.results().0)
    }

    /// What a report writes into `summary.json`, but for the time that it takes itself.
    fn summary(&self) -> Value {
        json!(self.results().1)
    }

    fn results(&self) -> (Raw, Summary) {
        synthetic::results(&journal::read(&self.journal).unwrap())
    }
}

fn few(cases: usize) -> (Header, Vec<Line>) {
    synthetic::journal("G3", &g3()[..cases])
}

fn assert_png(path: &Path) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (plot::WIDTH, plot::HEIGHT));
    assert!(bytes.len() > 10_000, "{} has nearly nothing on it", path.display());
}

/// A results root that stays, in `target/tmp`: besides being checked, its plots are for a person to
/// look at.
fn lasting(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
