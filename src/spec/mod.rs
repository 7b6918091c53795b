//! A spec: a YAML file of experiments, read and checked before anything is allocated.
//!
//! The format is the published suite's, `experiments: {NAME: {type: ..., ...}}`, so its files load.
//! `file` reads the text, `yaml` makes a value of it, and `entry` gives each entry to the struct of
//! its type, whose fields are the keys of the YAML. `value` holds values that check themselves,
//! `check` what several keys have to keep together; `error` and `words` say what is wrong.
//!
//! To add a type: a struct, and a line for it in each `match` of `experiment.rs`.

mod cases;
mod check;
mod embedded;
mod entry;
mod error;
mod experiment;
mod file;
mod gemm;
mod hetero;
mod merge;
mod padding;
mod sdpa;
mod value;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

pub use embedded::load_default;
pub use entry::Entry;
pub use error::SpecError;
pub use experiment::{Experiment, Kind};
pub use file::default_spec;
pub use gemm::{GemmAlgorithms, GemmKDense, GemmNDense, OutputSize};
pub use hetero::{HeadGroup, HeteroBatching, Pattern};
pub use padding::{GemmSize, Padded, PaddingRescue};
pub use sdpa::{AttentionSize, SdpaBackendForced, SdpaBackendSelection, SdpaDense};
pub use value::{DimRange, Integer, List, Size};

use crate::workload::operation::Backend;
use crate::workload::shape::DType;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// A spec file.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// Its entries by name, in the order of the file.
    pub entries: IndexMap<String, Entry>,
}

impl Spec {
    /// Reads and checks a spec file.
    pub fn load(path: &Path) -> Result<Spec, SpecError> {
        Spec::parse(&file::read(path)?, path)
    }

    /// Checks the text of a spec, to the first error; `path` only stands in messages.
    pub fn parse(text: &str, path: &Path) -> Result<Spec, SpecError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // a byte order mark
        Ok(Spec { path: path.to_owned(), entries: entry::read(text, path)? })
    }

    /// Every experiment that can be run, in the order of the file.
    pub fn experiments(&self) -> impl Iterator<Item = &Experiment> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Experiment(experiment) => Some(&**experiment),
            Entry::OtherType(_) => None,
        })
    }

    /// A line for each entry of a type that is not run here, with the nearest that is.
    pub fn other_types(&self) -> impl Iterator<Item = String> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Experiment(_) => None,
            Entry::OtherType(type_name) => Some(words::other_type(name, type_name)),
        })
    }

    /// How many experiments can be run: an error if none can.
    pub fn runnable(&self) -> Result<usize, SpecError> {
        match (self.experiments().count(), self.other_types().next()) {
            (0, Some(other)) => self.no_such(format!("nothing in it can be run: {other}")),
            (count, _) => Ok(count),
        }
    }

    /// The experiment of this name.
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
                format!("{name} is of type {}: {advice}", kind.type_name())
            }
            None => {
                let names = self.names().join(", ");
                format!("no experiment is run by the bench {bench}; there are {names}")
            }
        };
        self.no_such(problem)
    }

    fn names(&self) -> Vec<&str> {
        self.experiments().map(|experiment| experiment.name.as_str()).collect()
    }

    fn no_such<T>(&self, problem: String) -> Result<T, SpecError> {
        Err(SpecError::NoSuchExperiment { path: self.path.clone(), problem })
    }
}

// What the published suite takes where a key is absent.

const BOUNDARY: usize = 128;

fn boundary() -> Size {
    Size::new(BOUNDARY)
}

fn one() -> Size {
    Size::new(1)
}

fn two() -> Size {
    Size::new(2)
}

fn fp16() -> DType {
    DType::Fp16
}

fn auto() -> Backend {
    Backend::Auto
}
