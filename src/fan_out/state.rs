//! A fan-out on disk: what it runs, and its logs, in `<run id>.fan-out` beside the journals. The same command goes on with
//! one that was stopped.

use super::place::Place;
use crate::files::write_atomically;
use crate::journal::home::runs_folder;
use crate::journal::runs;
use crate::journal::shard::Shard;
use crate::journal::{self, FILE_NAME};
use crate::process::executable;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const PLAN: &str = "plan.json";
const SUFFIX: &str = ".fan-out";

/// What makes two commands the same fan-out: everything that decides what is measured where.
///
/// # Errors
/// If the executable or the spec cannot be read.
pub fn plan(
    executable: &Path,
    spec: &Path,
    places: &[Place],
    arguments: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<Value> {
    let text = fs::read_to_string(spec).with_context(|| format!("cannot read {}", spec.display()));
    Ok(json!({
        "build": executable::identity(executable)?,
        "spec": text?,
        "gpus": places,
        "arguments": arguments,
        "variables": variables,
    }))
}

/// A fan-out under way; no other process takes it while this lives.
pub struct State {
    /// Name of the merged run.
    pub run_id: String,
    /// Whether it goes on with an earlier one.
    pub is_resumed: bool,
    dir: PathBuf,
    _lock: File,
}

impl State {
    /// Begins a fan-out, or goes on with the one of the same `plan` that was not merged: the newest, or the one of this
    /// `run_id`. `experiment` is in the name of a new one.
    ///
    /// # Errors
    /// If there is a run of that name, or another fan-out, or another process is at it; or if the disk refuses.
    pub fn open(plan: &Value, run_id: Option<&str>, experiment: &str) -> Result<State> {
        if let Some(run_id) = run_id {
            // The longest name that a shard can have has to be one too.
            runs::run_id(&format!("{run_id}_1000of1000")).map_err(|allowed| {
                anyhow!(
                    "--run-id {run_id:?}: allowed is {allowed}; `_1of2` is added for the shards"
                )
            })?;
        }
        let runs = runs_folder();
        fs::create_dir_all(&runs).with_context(|| format!("cannot create {}", runs.display()))?;
        let Some(run_id) = run_id else {
            return match unmerged(&runs, plan)? {
                Some(run_id) => Self::go_on(&runs, run_id, plan),
                None => Self::begin_anywhere(&runs, plan, &runs::new_run_id(experiment)?),
            };
        };
        ensure!(
            !runs.join(run_id).exists(),
            "there is a run {run_id} already: choose another --run-id"
        );
        match Self::begin(&runs, run_id, plan)? {
            Some(state) => Ok(state),
            None => Self::go_on(&runs, run_id.to_owned(), plan),
        }
    }

    /// The run of a shard.
    pub fn shard_run(&self, shard: Shard) -> String {
        format!("{}_{}of{}", self.run_id, shard.index, shard.count)
    }

    /// A file or folder of this fan-out.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder of its logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn begin_anywhere(runs: &Path, plan: &Value, name: &str) -> Result<State> {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        for run_id in std::iter::once(name.to_owned()).chain(numbered) {
            if !runs.join(&run_id).exists()
                && let Some(state) = Self::begin(runs, &run_id, plan)?
            {
                return Ok(state);
            }
        }
        bail!("no run id is free")
    }

    /// None if there is a fan-out of this name.
    fn begin(runs: &Path, run_id: &str, plan: &Value) -> Result<Option<State>> {
        let dir = runs.join(format!("{run_id}{SUFFIX}"));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            made => made.with_context(|| format!("cannot create {}", dir.display()))?,
        }
        write_atomically(&dir.join(PLAN), &serde_json::to_vec_pretty(plan)?)?;
        Self::take(dir, run_id.to_owned(), false).map(Some)
    }

    fn go_on(runs: &Path, run_id: String, plan: &Value) -> Result<State> {
        let dir = runs.join(format!("{run_id}{SUFFIX}"));
        let before = read(&dir)?;
        let keys = ["build", "spec", "gpus", "arguments", "variables"];
        let differ: Vec<_> = keys.into_iter().filter(|key| before[key] != plan[key]).collect();
        ensure!(
            differ.is_empty(),
            "{} was begun by another command ({} differ): choose another --run-id",
            dir.display(),
            differ.join(", ")
        );
        Self::take(dir, run_id, true)
    }

    fn take(dir: PathBuf, run_id: String, is_resumed: bool) -> Result<State> {
        let path = dir.join(PLAN);
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        journal::lock(&file, &path).context("this fan-out is under way")?;
        Ok(State { run_id, is_resumed, dir, _lock: file })
    }
}

/// The newest fan-out of this plan that has not become a run.
fn unmerged(runs: &Path, plan: &Value) -> Result<Option<String>> {
    let entries = fs::read_dir(runs).with_context(|| format!("cannot read {}", runs.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(run_id) = name.strip_suffix(SUFFIX) else { continue };
        let is_merged = runs.join(run_id).join(FILE_NAME).exists();
        if !is_merged && read(&entry.path()).is_ok_and(|before| before == *plan) {
            found.push((entry.metadata()?.modified()?, run_id.to_owned()));
        }
    }
    Ok(found.into_iter().max().map(|(_, run_id)| run_id))
}

fn read(dir: &Path) -> Result<Value> {
    let path = dir.join(PLAN);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is broken", path.display()))
}
