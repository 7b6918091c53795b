//! A fan-out on disk: its plan and its logs, in `<run id>.fan-out` beside the journals.

use super::request::Request;
use crate::journal::FILE_NAME;
use crate::journal::home::runs_folder;
use crate::journal::runs;
use crate::journal::shard::Shard;
use crate::process::state::{Purpose, State, read_plan};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const SUFFIX: &str = ".fan-out";

const PURPOSE: Purpose =
    Purpose { what: "fan-out", advice: "choose another --run-id", is_begun: |_| true };

/// A fan-out under way.
pub struct FanOut {
    /// Name of the merged run.
    pub run_id: String,
    /// Its plan and logs.
    pub folder: State,
}

/// What makes two commands the same fan-out: everything that decides what is measured where.
pub fn plan(request: &Request, variables: &BTreeMap<String, String>) -> Result<Value> {
    Ok(json!({
        "build": request.executable.identity()?,
        "spec": request.spec.text,
        "gpus": request.places,
        "arguments": request.arguments().collect::<Vec<_>>(),
        "variables": variables,
    }))
}

impl FanOut {
    /// Begins a fan-out, or goes on with the one of the same `plan` that was not merged: the
    /// newest, or the one of this `run_id`. `experiment` is in the name of a new one.
    ///
    /// # Errors
    /// If there is a run of that name, or another fan-out, or another process is at it.
    pub fn open(plan: &Value, run_id: Option<&str>, experiment: &str) -> Result<FanOut> {
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
        let run_id = match run_id {
            Some(run_id) => {
                ensure!(
                    !runs.join(run_id).exists(),
                    "there is a run {run_id} already: choose another --run-id"
                );
                make(&runs, run_id)?;
                run_id.to_owned()
            }
            None => match unmerged(&runs, plan)? {
                Some(run_id) => run_id,
                None => free(&runs, &runs::new_run_id(experiment)?)?,
            },
        };
        let folder = State::open(&runs.join(format!("{run_id}{SUFFIX}")), plan, &PURPOSE)?;
        Ok(FanOut { run_id, folder })
    }

    /// The run of a shard.
    pub fn shard_run(&self, shard: Shard) -> String {
        format!("{}_{}of{}", self.run_id, shard.index, shard.count)
    }
}

/// A run id that neither a run nor a fan-out has; its folder is made.
fn free(runs: &Path, name: &str) -> Result<String> {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    for run_id in std::iter::once(name.to_owned()).chain(numbered) {
        if !runs.join(&run_id).exists() && make(runs, &run_id)? {
            return Ok(run_id);
        }
    }
    bail!("no run id is free")
}

/// Makes the folder of a fan-out; false if it is there.
fn make(runs: &Path, run_id: &str) -> Result<bool> {
    let dir = runs.join(format!("{run_id}{SUFFIX}"));
    match fs::create_dir(&dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", dir.display())),
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
        if !is_merged && read_plan(&entry.path()).is_ok_and(|before| before.as_ref() == Some(plan))
        {
            found.push((entry.metadata()?.modified()?, run_id.to_owned()));
        }
    }
    Ok(found.into_iter().max().map(|(_, run_id)| run_id))
}
