//! What a gate is asked.

use crate::compare::pair2::Rules;
use crate::process::child::Bench;
use crate::spec::Source;
use std::path::{Path, PathBuf};

/// What is to be judged, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the bench, for people.
    pub bench: String,
    /// What to compare with.
    pub base: Bench,
    /// What to judge; none compares the base with itself, for the noise floor.
    pub cand: Option<Bench>,
    /// The spec whose cases are measured.
    pub spec: Source,
    /// Criterion's filter on the ids of the cases.
    pub filter: Option<String>,
    /// Launches of a trial: warm-up, and measured.
    pub launches: [usize; 2],
    /// Trials of a process, in the screen and in the confirmation.
    pub trials: [usize; 2],
    /// The numbers of the algorithm.
    pub rules: Rules,
    /// Of the first pair; each further one has the next.
    pub seed: u64,
    /// Where the pairs are kept until there is an answer.
    pub state: PathBuf,
    /// The noise floor of the machine: read by a gate of two builds, written by one of a build with
    /// itself.
    pub noise_floor: PathBuf,
}

/// What a build alone finds in its environment: `NAME=VALUE NAME=VALUE`.
pub fn variables(build: &Bench) -> String {
    let each = build.set.iter().map(|(name, value)| format!("{name}={}", value.to_string_lossy()));
    each.collect::<Vec<_>>().join(" ")
}

/// Where a gate keeps its pairs unless it is told.
pub fn default_state(bench: &str) -> PathBuf {
    Path::new("target/night-sweep-gate").join(bench)
}
