//! From the text of a spec to its entries, each read into the struct of its type.

use super::error::{self, Failure, SpecError};
use super::experiment::{Experiment, Kind};
use super::value::Integer;
use super::{words, yaml};
use crate::measure::record::{Protocol, ProtocolKind};
use crate::workload::limits::MAX_TRIALS;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::Error;
use serde_path_to_error::{Deserializer, Track, deserialize};
use serde_yaml::{Mapping, Value};
use std::path::Path;

/// One entry of a spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// One that can be run.
    Experiment(Box<Experiment>),
    /// One of a type of the published suite, or of somebody's own, that is not run here.
    OtherType(String),
}

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

/// The keys that an entry of any type may have, beside its type.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Common {
    pub(super) description: Option<String>,
    pub(super) provenance: Option<serde_json::Map<String, serde_json::Value>>,
    protocol: ProtocolKind,
    warmup: Integer<0, 1_000_000>,
    measure: Integer<1, 1_000_000>,
    trials: Integer<1, MAX_TRIALS>,
}

impl Default for Common {
    /// The published defaults.
    fn default() -> Self {
        let (warmup, measure, trials) = (Integer::new(50), Integer::new(200), Integer::new(3));
        let protocol = ProtocolKind::Standard;
        Common { description: None, provenance: None, protocol, warmup, measure, trials }
    }
}

impl Common {
    pub(super) const KEYS: [&str; 7] =
        ["type", "description", "protocol", "warmup", "measure", "trials", "provenance"];

    pub(super) fn protocol(&self) -> Protocol {
        Protocol {
            kind: self.protocol,
            warmup: self.warmup.get(),
            measure: self.measure.get(),
            trials: self.trials.get(),
        }
    }
}

/// The entries of a file's text.
pub(super) fn read(text: &str, path: &Path) -> Result<IndexMap<String, Entry>, SpecError> {
    let value = yaml::read(text).map_err(|e| error::not_yaml(path, &e))?;
    let wrong = |above: &[&str], failure| error::not_a_spec(path, text, above, &failure);
    let File { experiments } = deserialize(value).map_err(|e| wrong(&[], e))?;
    if experiments.is_empty() {
        return Err(wrong(&["experiments"], here(Error::custom("there is no experiment"))));
    }
    let entries = experiments.into_iter().map(|(name, keys)| match entry(&name, keys) {
        Ok(entry) => Ok((name, entry)),
        Err(failure) => Err(wrong(&["experiments", &name], failure)),
    });
    entries.collect()
}

fn entry(name: &str, keys: Mapping) -> Result<Entry, Failure> {
    let is_common = |key: &Value| Common::KEYS.iter().any(|common| key == common);
    let (common, own): (Mapping, Mapping) = keys.into_iter().partition(|(key, _)| is_common(key));
    let common = Value::Mapping(common);
    let TypeOnly { name: type_name } = deserialize(&common)?;
    if words::nearest(&type_name, &Kind::TYPES).is_none() {
        return Ok(Entry::OtherType(type_name));
    }
    let common = deserialize(common)?;
    let kind = kind(&type_name, Value::Mapping(own))?
        .ok_or_else(|| here(Error::unknown_variant(&type_name, &Kind::TYPES)))?;
    Experiment::new(name, kind, common)
        .map(|experiment| Entry::Experiment(Box::new(experiment)))
        .map_err(|problem| here(Error::custom(problem)))
}

/// Reads the keys of a type; none if there is no such type.
fn kind(type_name: &str, keys: Value) -> Result<Option<Kind>, Failure> {
    let mut track = Track::new();
    Kind::read(type_name, Deserializer::new(keys, &mut track))
        .map_err(|error| Failure::new(track.path(), error))
}

/// An error of a whole value.
fn here(error: serde_yaml::Error) -> Failure {
    Failure::new(Track::new().path(), error)
}
