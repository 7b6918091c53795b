//! A spec: a YAML file of experiments, read and checked before anything is allocated. The format is
//! the published suite's, `experiments: {NAME: {type: ..., ...}}`, so its files load.

#![allow(missing_docs)] // of what its name says

mod common;
mod entry;
mod error;
mod experiment;
mod merge;
mod source;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

pub use error::SpecError;
pub use experiment::{Entry, Experiment};
pub use source::Source;

use crate::terminal;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Spec {
    pub path: PathBuf,
    pub entries: IndexMap<String, Entry>,
}

/// A spec as it is after aliases and merge keys are followed, its entries unread.
pub(crate) fn resolved(text: &str) -> Result<serde_yaml::Value, serde_yaml::Error> {
    yaml::read(text)
}

impl Spec {
    pub fn load(path: &Path) -> Result<Spec, SpecError> {
        Spec::parse(&source::read(path)?, path)
    }

    pub fn of(source: &Source) -> Result<Spec, SpecError> {
        Spec::parse(&source.text, &source.path)
    }

    /// Checks the text of a spec, to the first error; `path` only stands in messages.
    pub fn parse(text: &str, path: &Path) -> Result<Spec, SpecError> {
        Ok(Spec { path: path.to_owned(), entries: entry::read(text, path)? })
    }

    pub fn experiments(&self) -> impl Iterator<Item = &Experiment> {
        self.entries.values().filter_map(Entry::experiment)
    }

    /// A line for each entry of a type that is not run here, with the nearest that is.
    pub fn other_types(&self) -> impl Iterator<Item = String> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Experiment(_) => None,
            Entry::OtherType(type_name) => Some(words::other_type(name, type_name)),
        })
    }

    pub fn say_other_types(&self) {
        for other in self.other_types() {
            terminal::say(&format!("night-sweep: {}: left out: {other}", self.path.display()));
        }
    }

    /// How many entries can be run, or why none can.
    pub fn runnable(&self) -> Result<usize, SpecError> {
        match (self.experiments().count(), self.other_types().next()) {
            (0, Some(other)) => self.no_such(format!("nothing in it can be run: {other}")),
            (count, _) => Ok(count),
        }
    }

    pub fn experiment(&self, name: &str) -> Result<&Experiment, SpecError> {
        match self.entries.get(name) {
            Some(Entry::Experiment(experiment)) => Ok(experiment),
            Some(Entry::OtherType(type_name)) => self.no_such(words::other_type(name, type_name)),
            None => {
                let names = self.names();
                let meant = words::did_you_mean(name, &names);
                let names = names.join(", ");
                self.no_such(format!("there is no experiment {name:?}; there are {names}{meant}"))
            }
        }
    }

    /// What the bench target `bench` runs: the entry `name`, or the first of one of its types.
    pub fn experiment_of(&self, bench: &str, name: Option<&str>) -> Result<&Experiment, SpecError> {
        let found = match name {
            Some(name) => Some(self.experiment(name)?),
            None => self.experiments().find(|experiment| experiment.bench_target() == bench),
        };
        let problem = match found.map(|experiment| (experiment, experiment.bench_target())) {
            Some((experiment, target)) if target == bench => return Ok(experiment),
            Some((Experiment { name, kind, .. }, target)) => {
                let advice = format!("run it with `cargo bench --bench {target}`");
                format!("{name} is of type {}: {advice}", kind.name)
            }
            None => {
                let benches = self.experiments().map(|experiment| {
                    format!("{} of {}", experiment.name, experiment.bench_target())
                });
                let benches = benches.collect::<Vec<_>>().join(", ");
                format!(
                    "the bench {bench} runs no experiment of it; NIGHT_SWEEP_EXPERIMENT names one \
                     for its bench: there are {benches}"
                )
            }
        };
        self.no_such(problem)
    }

    /// All that the bench target `bench` can run.
    pub fn experiments_of(&self, bench: &str) -> Result<Vec<&Experiment>, SpecError> {
        self.experiment_of(bench, None)?;
        Ok(self.experiments().filter(|experiment| experiment.bench_target() == bench).collect())
    }

    fn names(&self) -> Vec<&str> {
        self.experiments().map(|experiment| experiment.name.as_str()).collect()
    }

    fn no_such<T>(&self, problem: String) -> Result<T, SpecError> {
        Err(SpecError::NoSuchExperiment { path: self.path.clone(), problem })
    }
}
