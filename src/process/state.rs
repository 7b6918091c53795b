//! A measurement that can be interrupted: a folder with its plan and what is measured so far. The
//! same command goes on with it, and no other does.

use crate::files::{open_dir, read_json, write_atomically};
use crate::journal::lock;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

pub const PLAN: &str = "plan.json";

#[derive(Clone, Copy)]
pub struct Purpose {
    pub what: &'static str,
    /// What to do where another plan is in the folder.
    pub advice: &'static str,
    /// Whether something would be lost if another plan took the folder over.
    pub is_begun: fn(&Path) -> bool,
}

/// The folder of a measurement under way. No other process takes it while this lives.
pub struct State {
    pub is_resumed: bool,
    dir: PathBuf,
    _lock: File,
}

impl State {
    /// Takes the folder `dir`, which is there: begins with `plan`, or goes on if it is the plan of
    /// the measurement that was interrupted there. Plans are JSON objects.
    pub fn open(dir: &Path, plan: &Value, purpose: &Purpose) -> Result<State> {
        let context = || format!("cannot read {}", dir.display());
        let file = open_dir(dir).with_context(context)?;
        lock(&file, dir).with_context(|| format!("this {} is under way", purpose.what))?;
        let before = read_plan(dir)?;
        let is_resumed = before.as_ref() == Some(plan);
        if let Some(before) = before.filter(|_| !is_resumed && (purpose.is_begun)(dir)) {
            ensure!(
                false,
                "{}: another {} was interrupted here, begun by another command ({} differ): {}",
                dir.display(),
                purpose.what,
                differing(&before, plan).join(", "),
                purpose.advice
            );
        }
        let state = State { is_resumed, dir: dir.to_owned(), _lock: file };
        if !is_resumed {
            state.write(PLAN, plan)?;
        }
        Ok(state)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        read_json(&self.path(name), "broken")
    }

    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_atomically(&self.path(name), &serde_json::to_vec(value)?)
    }
}

pub fn read_plan(dir: &Path) -> Result<Option<Value>> {
    read_json(&dir.join(PLAN), "broken")
}

/// The keys at which two objects differ, those of objects within them too: `base.sha256`.
pub fn differing(a: &Value, b: &Value) -> Vec<String> {
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect());
    let all: BTreeSet<String> =
        [a, b].into_iter().filter_map(keys).flat_map(|k: Vec<_>| k).collect();
    let of_key = |key: String| match (&a[&key], &b[&key]) {
        (a, b) if a == b => Vec::new(),
        (a @ Value::Object(_), b @ Value::Object(_)) => {
            differing(a, b).into_iter().map(|inner| format!("{key}.{inner}")).collect()
        }
        _ => vec![key],
    };
    all.into_iter().flat_map(of_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GATE: Purpose = Purpose {
        what: "gate",
        advice: "choose another with --state",
        is_begun: |dir| dir.join("pair.json").exists(),
    };

    #[test]
    fn the_same_plan_goes_on_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, plan) = (dir.path(), json!({"bench": "g3", "seed": 1}));
        let open = |plan: &Value| State::open(dir, plan, &GATE);
        let refused = |plan: &Value| format!("{:#}", open(plan).err().unwrap());
        open(&json!({"bench": "het1"})).unwrap();
        let state = open(&plan).expect("nothing was measured for the other");
        assert!(!state.is_resumed);
        assert!(refused(&plan).starts_with("this gate is under way"));
        state.write("pair.json", &7).unwrap();
        drop(state);
        let other = refused(&json!({"bench": "s1", "seed": 1}));
        assert!(other.contains("another gate was interrupted here"), "{other}");
        assert!(other.contains("(bench differ): choose another with --state"), "{other}");
        let [a, b] = ["1", "2"].map(|sum| json!({"base": {"sha256": sum, "path": "x"}}));
        assert_eq!(differing(&a, &b), ["base.sha256"]);
        let state = open(&plan).unwrap();
        assert!(state.is_resumed);
        assert_eq!(state.read("pair.json").unwrap(), Some(7));
        assert_eq!(state.read::<u32>("none.json").unwrap(), None);
        std::fs::write(dir.join("pair.json"), "{").unwrap();
        assert!(state.read::<u32>("pair.json").is_err());
    }
}
