//! What a gate is asked.

use crate::compare::pair2::Rules;
use crate::measure::record::ProtocolKind;
use crate::process::child::Bench;
use crate::spec::Source;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Request {
    pub bench: String,
    pub base: Bench,
    /// What to judge; none compares the base with itself, for the noise floor.
    pub cand: Option<Bench>,
    pub spec: Source,
    pub filter: Option<String>,
    pub kind: ProtocolKind,
    /// Launches to warm up, and timed ones.
    pub launches: [usize; 2],
    /// Trials of a process, in the screen and in the confirmation.
    pub trials: [usize; 2],
    pub rules: Rules,
    /// How long a process may take; none derives it from those before it.
    pub limit: Option<Duration>,
    /// A case that the candidate lacks fails nothing.
    pub allow_missing: bool,
    /// Of the first pair; each further one has the next.
    pub seed: u64,
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

pub fn default_state(bench: &str) -> PathBuf {
    Path::new("target/night-sweep-gate").join(bench)
}
