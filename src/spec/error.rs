//! What is wrong with a spec, in one line that says where, what is allowed and what was perhaps meant.

use super::expansion::TOO_LARGE;
use std::path::{Path, PathBuf};

/// Why a spec cannot be run. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says. (Not the `source` of the error: whoever prints the chain would say it twice.)
        reason: std::io::Error,
    },
    /// The file does not hold what it should: `file:line:column: experiments.NAME.key: what is wrong`.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line of the offending value, from 1; of its entry where several values contradict each other.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The key, what is wrong with it, what is allowed, and the nearest spelling if one is near.
        problem: String,
    },
    /// The spec holds no experiment of this name that can be run.
    #[error("{}: {problem}", path.display())]
    NoSuchExperiment {
        /// The file.
        path: PathBuf,
        /// What was asked for, and what there is.
        problem: String,
    },
}

/// The text of a file that is not UTF-8 ends at a byte; a person looks for a line.
pub(super) fn not_utf8(path: &Path, valid: &[u8]) -> SpecError {
    let line_start = valid.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    SpecError::Invalid {
        path: path.to_owned(),
        line: 1 + valid.iter().filter(|&&byte| byte == b'\n').count(),
        column: 1 + String::from_utf8_lossy(&valid[line_start..]).chars().count(),
        problem: "not UTF-8 text".to_owned(),
    }
}

/// The text is not YAML at all, or a map in it has a key twice.
pub(super) fn not_yaml(path: &Path, error: &serde_yaml::Error) -> SpecError {
    let explained = |text: &str| {
        text.contains(DUPLICATE) || text.ends_with(ANY_VALUE) || text.ends_with(TOO_LARGE)
    };
    located(path, error, |text| match explained(text) {
        // yaml_serde counts as well.
        false if text.ends_with("repetition limit exceeded") => TOO_LARGE.to_owned(),
        true => explain(text),
        false => format!("not valid YAML: {text}"),
    })
}

/// The text is YAML, but not a spec.
pub(super) fn not_a_spec(path: &Path, error: &serde_yaml::Error) -> SpecError {
    located(path, error, explain)
}

/// Takes the location out of yaml_serde's text, and puts what `describe` makes of the rest on one line.
fn located(path: &Path, error: &serde_yaml::Error, describe: impl Fn(&str) -> String) -> SpecError {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let text = error.to_string().replacen(&format!(" at line {line} column {column}"), "", 1);
    let problem = describe(&text).chars().flat_map(one_line).take(1000).collect();
    SpecError::Invalid { path: path.to_owned(), line, column, problem }
}

fn one_line(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) =
        if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

const DUPLICATE: &str = "duplicate entry with key ";

/// What yaml_serde says of an integer of more than 64 bits.
const ANY_VALUE: &str = "any YAML value";

/// Puts a message of serde's, or a [`super::check::Problem`], in the words of a spec.
///
/// The text is `experiments.NAME.key: ` as far as yaml_serde knows the place, then one of a few phrases of serde,
/// which has no other way to tell what it expected.
fn explain(text: &str) -> String {
    if let Some((place, key, allowed)) = quoted(text, "unknown field `") {
        return format!("{}: there is no such key{}", below(place, key), choices(key, allowed));
    }
    if let Some((place, name, allowed)) = quoted(text, "unknown variant `") {
        return format!("{place}\"{name}\" is not known{}", choices(name, allowed));
    }
    if let Some((place, key, _)) = quoted(text, "missing field `") {
        return format!("{place}the key \"{key}\" is missing");
    }
    if let Some((place, key, what)) = quoted(text, "key `") {
        return format!("{}{what}", below(place, key));
    }
    if let Some((place, key)) = text.split_once(DUPLICATE) {
        return format!("{place}the key {key} stands twice");
    }
    for phrase in ["invalid type: ", "invalid value: "] {
        if let Some((place, (found, expected))) = text
            .split_once(phrase)
            .and_then(|(p, rest)| Some((p, rest.rsplit_once(", expected ")?)))
        {
            let expected = match expected {
                ANY_VALUE => "a number of at most 64 bits",
                "a YAML tag starting with '!'" => "a single word",
                "field identifier" => "a key",
                other => other,
            };
            return format!("{place}expected {expected}, found {}", in_yaml_words(found));
        }
    }
    text.to_owned()
}

/// `("before", "x", "after")` of a text `before<phrase>x<backtick>after`.
fn quoted<'t>(text: &'t str, phrase: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let (place, rest) = text.split_once(phrase)?;
    let (name, after) = rest.split_once('`')?;
    Some((place, name, after))
}

/// The place of `key` in the map that stands at `place`.
fn below(place: &str, key: &str) -> String {
    match place.strip_suffix(": ") {
        Some(place) => format!("{place}.{key}"),
        None => format!("{place}{key}"),
    }
}

/// `; allowed are a, b; did you mean "a"?` from serde's "expected one of `a`, `b`".
fn choices(found: &str, expected: &str) -> String {
    let allowed: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if allowed.is_empty() {
        return String::new();
    }
    format!("; allowed are {}{}", allowed.join(", "), did_you_mean(found, &allowed))
}

/// What serde calls found things, as a person who writes YAML does.
fn in_yaml_words(found: &str) -> String {
    match found {
        "unit value" => "nothing".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        other => other.replace('`', ""),
    }
}

/// `; did you mean "x"?` where a known name is near.
pub(super) fn did_you_mean(found: &str, known: &[&str]) -> String {
    nearest(found, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

/// The known name that is nearest to `found`, if at most a quarter of it differs.
pub(super) fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    if found.len() > 100 {
        return None; // no misspelling, and the distance would cost its length in memory
    }
    let lower = found.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= name.len().max(found.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
