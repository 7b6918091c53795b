//! The merge key of YAML 1.1, `<<: *anchor`.

use serde::de::Error;
use serde_yaml::{Mapping, Value};

pub(super) const NOT_MERGED: &str = "<< merges a map or a list of maps";

/// Resolves `<<` as PyYAML does: a map's own keys override merged ones, and of a list of maps the
/// first counts.
pub(super) fn merged<E: Error>(mut own: Mapping) -> Result<Mapping, E> {
    let sources = match own.shift_remove("<<") {
        None => return Ok(own),
        Some(Value::Sequence(sources)) => sources,
        Some(source) => vec![source],
    };
    let mut merged = Mapping::new();
    for source in sources.into_iter().rev() {
        let Value::Mapping(source) = source else { return Err(E::custom(NOT_MERGED)) };
        merged.extend(source);
    }
    merged.extend(own);
    Ok(merged)
}
