//! What is wrong with a spec, and where.

use super::{words, yaml};
use crate::experiments::sweep::KEYS_OF_EVERY_TYPE;
use serde_path_to_error::Segment;
use serde_yaml::Value;
use std::path::{Path, PathBuf};

pub(super) type Failure = serde_path_to_error::Error<serde_yaml::Error>;

/// Why a spec cannot be run. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        path: PathBuf,
        /// What the system says. (No `source`: whoever prints the chain would say it twice.)
        reason: std::io::Error,
    },
    /// The file does not hold what it should: `file:line:column: experiments.NAME.key: problem`.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Invalid {
        path: PathBuf,
        /// Line of the value, from 1; of the entry where several values contradict each other.
        line: usize,
        column: usize,
        /// The key, what is wrong with it, what is allowed, and the nearest spelling.
        problem: String,
    },
    #[error("{}: {problem}", path.display())]
    NoSuchExperiment { path: PathBuf, problem: String },
}

pub(super) fn not_yaml(path: &Path, error: &serde_yaml::Error) -> SpecError {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let text = error.to_string().replacen(&format!(" at line {line} column {column}"), "", 1);
    let problem = match words::expected(&text) {
        Some(expected) => expected,
        // yaml_serde counts as well.
        None if text.ends_with("repetition limit exceeded") => yaml::TOO_LARGE.to_owned(),
        None if yaml::REFUSALS.iter().any(|refusal| text.ends_with(refusal)) => text,
        None => format!("not valid YAML: {text}"),
    };
    invalid(path, (line, column), &problem)
}

/// The text is YAML, but not a spec: `failure` is of the value at the keys `above`.
pub(super) fn not_a_spec(path: &Path, text: &str, above: &[&str], failure: &Failure) -> SpecError {
    let below = failure.path().iter().filter_map(|step| match step {
        Segment::Map { key } => Some(Value::from(key.as_str())),
        Segment::Seq { index } => Some(Value::from(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let place: Vec<Value> = above.iter().map(|&key| key.into()).chain(below).collect();
    let dotted = place.iter().map(|step| match step.as_str() {
        Some(key) => format!(".{key}"),
        None => format!("[{}]", step.as_u64().unwrap_or_default()),
    });
    let mut what = failure.inner().to_string();
    let is_key = what.starts_with("unknown field");
    if is_key && place.len() == 3 {
        what.extend(KEYS_OF_EVERY_TYPE.iter().map(|key| format!(", `{key}`")));
    }
    let problem = words::explain(dotted.collect::<String>().get(1..).unwrap_or_default(), &what);
    invalid(path, yaml::locate(text, &place, is_key), &problem)
}

/// A problem on one line, its control characters replaced.
pub(super) fn invalid(path: &Path, (line, column): (usize, usize), problem: &str) -> SpecError {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let problem = problem.chars().map(plain).take(1000).collect();
    SpecError::Invalid { path: path.to_owned(), line, column, problem }
}
