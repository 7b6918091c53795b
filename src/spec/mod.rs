//! A spec: a YAML file of experiments, read and checked before anything is allocated.
//!
//! The format is the published suite's, `experiments: {NAME: {type: ..., ...}}`, so its files load unchanged.
//! `value` holds the values that check themselves as they are read; `sdpa`, `gemm`, `padding` and `hetero` a struct
//! for each type, its fields the keys of the YAML; `check` what several keys have to keep together; `entry` reads
//! the entries, and `error` says what is wrong with them.
//!
//! To add a type: a struct, and a line for it in each `match` of `experiment.rs`.

mod cases;
mod check;
mod embedded;
mod entry;
mod error;
mod expansion;
mod experiment;
mod gemm;
mod hetero;
mod padding;
mod sdpa;
mod value;

pub use embedded::load_default;
pub use error::SpecError;
pub use experiment::{Experiment, Kind};
pub use gemm::{GemmAlgorithms, GemmKDense, GemmNDense, OutputSize};
pub use hetero::{HeadGroup, HeteroBatching, Pattern};
pub use padding::{GemmSize, Padded, PaddingRescue};
pub use sdpa::{AttentionSize, SdpaBackendForced, SdpaBackendSelection, SdpaDense};
pub use value::{DimRange, Integer, List, Size};

use crate::workload::operation::Backend;
use crate::workload::shape::DType;
use error::did_you_mean;
use indexmap::IndexMap;
use std::io::{Error, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read: the published spec is a fiftieth of it.
const MAX_BYTES: u64 = 1_000_000;

/// A spec file.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// Its entries by name, in the order of the file.
    pub entries: IndexMap<String, Entry>,
}

/// One entry of a spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// One that can be run.
    Experiment(Box<Experiment>),
    /// One of a type of the published suite, or of somebody's own, that is not run here.
    OtherType(String),
}

impl Spec {
    /// Reads and checks a spec file.
    ///
    /// # Errors
    /// [`SpecError::Unreadable`], or what [`Spec::parse`] finds.
    pub fn load(path: &Path) -> Result<Spec, SpecError> {
        let mut bytes = Vec::new();
        // A byte more than is allowed tells that there are too many, however long the file is, or has no end.
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .and_then(|read| match read as u64 > MAX_BYTES {
                true => Err(Error::other("it is larger than 1 MB, and no spec")),
                false => Ok(()),
            })
            .map_err(|reason| SpecError::Unreadable { path: path.to_owned(), reason })?;
        match str::from_utf8(&bytes) {
            Ok(text) => Spec::parse(text, path),
            Err(error) => Err(error::not_utf8(path, &bytes[..error.valid_up_to()])),
        }
    }

    /// Checks the text of a spec; `path` only stands in messages.
    ///
    /// # Errors
    /// [`SpecError::Invalid`] for the first thing wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Spec, SpecError> {
        expansion::check(text).map_err(|e| error::not_yaml(path, &e))?;
        serde_yaml::from_str::<serde_yaml::Value>(text).map_err(|e| error::not_yaml(path, &e))?;
        let entries = serde_yaml::from_str::<entry::Types>(text)
            .and_then(|types| types.entries(serde_yaml::Deserializer::from_str(text)))
            .map_err(|e| error::not_a_spec(path, &e))?;
        Ok(Spec { path: path.to_owned(), entries })
    }

    /// Every experiment that can be run, in the order of the file.
    pub fn experiments(&self) -> impl Iterator<Item = &Experiment> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Experiment(experiment) => Some(&**experiment),
            Entry::OtherType(_) => None,
        })
    }

    /// The experiment of this name.
    ///
    /// # Errors
    /// [`SpecError::NoSuchExperiment`] if there is none, or if its type is not run here.
    pub fn experiment(&self, name: &str) -> Result<&Experiment, SpecError> {
        let problem = match self.entries.get(name) {
            Some(Entry::Experiment(experiment)) => return Ok(experiment),
            Some(Entry::OtherType(type_name)) => {
                let types = Kind::TYPES.join(", ");
                format!(
                    "{name} is of type {type_name:?}, which is not run here; allowed are {types}"
                )
            }
            None => {
                let names: Vec<&str> = self.experiments().map(|e| e.name.as_str()).collect();
                let meant = did_you_mean(name, &names);
                format!("there is no experiment {name:?}; there are {}{meant}", names.join(", "))
            }
        };
        Err(SpecError::NoSuchExperiment { path: self.path.clone(), problem })
    }

    /// What the bench target `bench` runs: the entry `name`, or else the first of one of its types.
    ///
    /// # Errors
    /// [`SpecError::NoSuchExperiment`] if there is none, or `name` is run by another bench.
    pub fn experiment_of(&self, bench: &str, name: Option<&str>) -> Result<&Experiment, SpecError> {
        let problem = match name {
            Some(name) => {
                let experiment = self.experiment(name)?;
                let target = experiment.bench_target();
                if target == bench {
                    return Ok(experiment);
                }
                let kind = experiment.kind.type_name();
                format!("{name} is of type {kind}: run it with `cargo bench --bench {target}`")
            }
            None => {
                match self.experiments().find(|experiment| experiment.bench_target() == bench) {
                    Some(experiment) => return Ok(experiment),
                    None => {
                        let names: Vec<&str> =
                            self.experiments().map(|e| e.name.as_str()).collect();
                        let there = names.join(", ");
                        format!("no experiment is run by the bench {bench}; there are {there}")
                    }
                }
            }
        };
        Err(SpecError::NoSuchExperiment { path: self.path.clone(), problem })
    }
}

/// Where a spec of the repository lies: in `experiments/` here, where cargo runs a bench, or else where this was built.
///
/// # Errors
/// [`SpecError::Unreadable`] if it is in neither place.
pub fn default_spec(name: &str) -> Result<PathBuf, SpecError> {
    let here = Path::new("experiments").join(name);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(&here);
    [&here, &built].into_iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let reason = "run from the repository, or name a file with NIGHT_SWEEP_SPEC";
        SpecError::Unreadable { path: here.clone(), reason: Error::other(reason) }
    })
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
