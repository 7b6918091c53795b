//! What a gate has measured so far, on disk: a file per pair, so that a gate that was killed goes on where it was.

use super::process::{Record, is_of_a_process};
use crate::compare::pair2::Stage;
use crate::files::{self, Kind, write_atomically};
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A pair of processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// Which went first.
    pub base_first: bool,
    /// What the base left.
    pub base: Record,
    /// What the candidate left.
    pub cand: Record,
}

/// The folder of a gate under way.
pub struct State {
    dir: PathBuf,
}

const PLAN: &str = "plan.json";

/// The spec of each stage.
pub const SPECS: [&str; 2] = ["screen.yaml", "confirm.yaml"];

/// How the names of the folders of processes begin.
pub const PROCESS: &str = "process-";

/// The folder, for its mark.
pub const KIND: Kind =
    Kind { what: "the state of a gate", identity: "", is_ours, unmarked: &|_| false };

fn is_ours(name: &Path, is_dir: bool) -> bool {
    let mut parts = name.components();
    let first = parts.next().map(|part| part.as_os_str().to_string_lossy()).unwrap_or_default();
    let rest = parts.as_path();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if first.strip_prefix(PROCESS).is_some_and(is_number) {
        return is_dir || rest != Path::new("") && is_of_a_process(rest, is_dir);
    }
    let is_pair = || {
        let stages = [Stage::Screen, Stage::Confirm, Stage::Shift].map(Stage::name);
        let number = first.strip_suffix(".json").and_then(|name| name.rsplit_once('-'));
        number.is_some_and(|(stage, number)| stages.contains(&stage) && is_number(number))
    };
    let is_file = first == PLAN || SPECS.contains(&&*first) || is_pair();
    !is_dir && rest == Path::new("") && is_file
}

impl State {
    /// Begins a gate in `dir`, or goes on with the one that was interrupted there if it had the same `plan`.
    ///
    /// # Errors
    /// If another gate was interrupted there, the folder is not one of a gate, or the disk refuses.
    pub fn open(dir: &Path, plan: &serde_json::Value) -> Result<State> {
        files::claim(dir, &KIND)?;
        let state = State { dir: dir.to_owned() };
        match state.read::<serde_json::Value>(PLAN)? {
            Some(before) if before != *plan && state.has_pairs()? => bail!(
                "{}: another gate was interrupted here (other executables, spec, filter or seed); remove the folder, or \
                 choose another with --state",
                dir.display()
            ),
            Some(before) if before == *plan => Ok(state),
            _ => state.write(PLAN, plan).map(|()| state),
        }
    }

    fn has_pairs(&self) -> Result<bool> {
        let entries = fs::read_dir(&self.dir)
            .with_context(|| format!("cannot read {}", self.dir.display()))?;
        let stages = [Stage::Screen, Stage::Confirm, Stage::Shift].map(Stage::name);
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.into_iter().any(|name| {
            name.ends_with(".json") && stages.iter().any(|stage| name.starts_with(stage))
        }))
    }

    /// A folder for files of its own making.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A pair measured before; none if it was not.
    ///
    /// # Errors
    /// If its file is broken.
    pub fn pair(&self, stage: Stage, pair: usize) -> Result<Option<PairRecord>> {
        self.read(&name(stage, pair))
    }

    /// Keeps a pair, and returns once it is on disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, stage: Stage, pair: usize, record: &PairRecord) -> Result<()> {
        self.write(&name(stage, pair), record)
    }

    /// Forgets everything: the gate has its answer. Returns what no gate wrote: that stays.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn close(self) -> Result<Vec<PathBuf>> {
        files::clear(&self.dir, &KIND)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{} is broken: remove it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_atomically(&self.dir.join(name), &serde_json::to_vec(value)?)
    }
}

fn name(stage: Stage, pair: usize) -> String {
    format!("{}-{:02}.json", stage.name(), pair + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn record(wall_s: f64) -> Record {
        Record {
            conditions: BTreeMap::new(),
            device_name: "none".to_owned(),
            wall_s,
            calibration: None,
            cases: BTreeMap::new(),
        }
    }

    #[test]
    fn a_gate_goes_on_where_it_was_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let plan = json!({"bench": "g3"});
        let pair = PairRecord { base_first: true, base: record(1.0), cand: record(2.0) };
        State::open(&dir, &json!({"bench": "het1"})).unwrap();
        let state = State::open(&dir, &plan).expect("nothing was measured for the other");
        state.keep(Stage::Screen, 0, &pair).unwrap();
        let state = State::open(&dir, &plan).unwrap();
        assert_eq!(state.pair(Stage::Screen, 0).unwrap(), Some(pair));
        assert_eq!(state.pair(Stage::Screen, 1).unwrap(), None);
        assert_eq!(state.pair(Stage::Confirm, 0).unwrap(), None);
        let error = State::open(&dir, &json!({"bench": "s1"})).err().unwrap().to_string();
        assert!(error.contains("--state"), "{error}");
        fs::write(dir.join("screen-02.json"), "{").unwrap();
        assert!(state.pair(Stage::Screen, 1).is_err());
        assert!(state.close().unwrap().is_empty());
        assert!(!dir.exists());
    }

    #[test]
    fn only_what_a_gate_writes_is_its_own() {
        for name in [
            "plan.json",
            "screen.yaml",
            "screen-01.json",
            "shift-120.json",
            "process-7/.night-sweep",
            "process-7/criterion/G3/M16/K8/new/sample.json",
            "process-7/criterion/night-sweep/gate/journal.jsonl",
        ] {
            assert!(is_ours(Path::new(name), false), "{name}");
        }
        for name in [
            "screen.json",
            "screen-1a.json",
            "notes-01.json",
            "plan.json/plan.json",
            "process-7",
            "process-x/sample.json",
            "process-7/notes.txt",
        ] {
            assert!(!is_ours(Path::new(name), false), "{name}");
        }
        assert!(is_ours(Path::new("process-7"), true) && !is_ours(Path::new("plan.json"), true));
    }
}
