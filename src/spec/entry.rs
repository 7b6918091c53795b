//! From the text of a spec to its entries, each read into the struct of its type.

use super::error::{self, Failure, SpecError};
use super::experiment::{Entry, Experiment};
use super::{words, yaml};
use crate::experiments::{self, sweep::KEYS_OF_EVERY_TYPE};
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::Error;
use serde_path_to_error::{Track, deserialize};
use serde_yaml::{Mapping, Value};
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {experiments: {NAME: {type, ...}}}")]
struct File {
    experiments: IndexMap<String, Mapping>,
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    name: String,
}

pub(super) fn read(text: &str, path: &Path) -> Result<IndexMap<String, Entry>, SpecError> {
    let value = yaml::read(text).map_err(|e| error::not_yaml(path, &e))?;
    let wrong = |above: &[&str], failure| error::not_a_spec(path, text, above, &failure);
    if let Some(problem) = no_experiments(&value) {
        return Err(wrong(&[], here(Error::custom(problem))));
    }
    let File { experiments } = deserialize(value).map_err(|e| wrong(&[], e))?;
    if experiments.is_empty() {
        return Err(wrong(&["experiments"], here(Error::custom("there is no experiment"))));
    }
    let mut entries = IndexMap::new();
    for (name, keys) in experiments {
        let entry = entry(&name, keys).and_then(|entry| checked(&entries, entry));
        let entry = entry.map_err(|failure| wrong(&["experiments", &name], failure))?;
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// What to say of a file of something else: the published suite has suites of language models too.
fn no_experiments(value: &Value) -> Option<String> {
    let keys: Vec<&str> = value.as_mapping()?.keys().filter_map(Value::as_str).collect();
    let is_meant = |key: &&str| words::nearest(key, &["experiments"]).is_some();
    (!keys.is_empty() && !keys.iter().any(is_meant)).then(|| {
        let keys = keys.join(", ");
        format!("there is no key `experiments`, but {keys}: nothing that is run here")
    })
}

/// The entry, if its ids name the same as in the entries before it.
fn checked(before: &IndexMap<String, Entry>, entry: Entry) -> Result<Entry, Failure> {
    if let Some(experiment) = entry.experiment() {
        let before = before.values().filter_map(Entry::experiment);
        experiment.check_ids(before).map_err(|problem| here(Error::custom(problem)))?;
    }
    Ok(entry)
}

fn entry(name: &str, keys: Mapping) -> Result<Entry, Failure> {
    let is_common = |key: &Value| KEYS_OF_EVERY_TYPE.iter().any(|common| key == common);
    let (common, own): (Mapping, Mapping) = keys.into_iter().partition(|(key, _)| is_common(key));
    let common = Value::Mapping(common);
    let TypeOnly { name: type_name } = deserialize(&common)?;
    let types = experiments::names();
    let Some(kind) = experiments::find(&type_name) else {
        return match words::nearest(&type_name, &types) {
            None => Ok(Entry::OtherType(type_name)),
            // Serde's words; its own function wants names that are known when it is compiled.
            Some(_) => Err(here(Error::custom(format!(
                "unknown variant `{type_name}`, expected one of `{}`",
                types.join("`, `")
            )))),
        };
    };
    let common = deserialize(common)?;
    let sweep = (kind.read)(Value::Mapping(own))?;
    Experiment::new(name, kind, sweep, common)
        .map(|experiment| Entry::Experiment(Box::new(experiment)))
        .map_err(|problem| here(Error::custom(problem)))
}

fn here(error: serde_yaml::Error) -> Failure {
    Failure::new(Track::new().path(), error)
}
