//! The words of an error: what is wrong, what is allowed, what was perhaps meant.

use crate::experiments;

/// Puts a message of serde's, or a [`Problem`](crate::experiments::check::Problem), in the words of
/// a spec.
///
/// Serde has no other way to tell what it expected than a few phrases.
pub(super) fn explain(place: &str, text: &str) -> String {
    let words: Vec<&str> = text.split('`').collect();
    let choices = |found| {
        let allowed: Vec<&str> = words.iter().skip(3).step_by(2).copied().collect();
        format!("; allowed are {}{}", allowed.join(", "), did_you_mean(found, &allowed))
    };
    let what = match words[..] {
        ["unknown field ", key, ..] => format!("there is no such key{}", choices(key)),
        ["unknown variant ", name, ..] => format!("\"{name}\" is not known{}", choices(name)),
        ["missing field ", key, ..] => format!("the key \"{key}\" is missing"),
        ["key ", key, what] => return format!("{place}.{key}{what}"),
        _ => expected(text).unwrap_or_else(|| text.to_owned()),
    };
    if place.is_empty() { what } else { format!("{place}: {what}") }
}

/// `expected this, found that` from serde's message of another type or value.
pub(super) fn expected(text: &str) -> Option<String> {
    let (place, rest) =
        text.split_once("invalid type: ").or_else(|| text.split_once("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let expected = expected.replace("a YAML mapping", "a map");
    let expected = expected.replace("a Value::Tagged enum", "a single word");
    let found = match found {
        "unit value" => "nothing".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        other => other.replace('`', ""),
    };
    Some(format!("{place}expected {expected}, found {found}"))
}

pub(super) fn other_type(name: &str, type_name: &str) -> String {
    let alike = |known: &&str| (strsim::jaro_winkler(type_name, known) * 100.0) as u32;
    let nearest =
        experiments::names().into_iter().max_by_key(alike).filter(|known| alike(known) > 80);
    let meant = nearest.map_or_else(String::new, |known| format!("; did you mean \"{known}\"?"));
    let types = experiments::names().join(", ");
    format!("{name} is of type {type_name:?}, which is not run here; allowed are {types}{meant}")
}

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
