//! A fan-out on disk: its plan and its logs, in `<run id>.fan-out` beside the journals.

use super::request::Request;
use crate::files::cannot;
use crate::journal::FILE_NAME;
use crate::journal::home::runs_folder;
use crate::journal::runs;
use crate::journal::shard::Shard;
use crate::process::state::{Purpose, State, read_plan};
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const SUFFIX: &str = ".fan-out";

const PURPOSE: Purpose =
    Purpose { what: "fan-out", advice: "choose another --run-id", is_begun: |_| true };

pub struct FanOut {
    /// Name of the merged run.
    pub run_id: String,
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
        fs::create_dir_all(&runs).with_context(cannot("create", &runs))?;
        let folder = |run_id: &str| runs.join(format!("{run_id}{SUFFIX}"));
        let run_id = match run_id {
            Some(run_id) => {
                ensure!(
                    !runs.join(run_id).exists(),
                    "there is a run {run_id} already: choose another --run-id"
                );
                runs::make_new(&folder(run_id))?;
                run_id.to_owned()
            }
            None => match unmerged(&runs, plan)? {
                Some(run_id) => run_id,
                None => runs::first_free(&runs::new_run_id(experiment)?, |run_id| {
                    Ok(!runs.join(run_id).exists() && runs::make_new(&folder(run_id))?)
                })?,
            },
        };
        let folder = State::open(&folder(&run_id), plan, &PURPOSE)?;
        Ok(FanOut { run_id, folder })
    }

    pub fn shard_run(&self, shard: Shard) -> String {
        format!("{}_{}of{}", self.run_id, shard.index, shard.count)
    }
}

/// The newest fan-out of this plan that has not become a run.
fn unmerged(runs: &Path, plan: &Value) -> Result<Option<String>> {
    let entries = fs::read_dir(runs).with_context(cannot("read", runs))?;
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
