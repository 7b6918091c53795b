//! What every type of experiment is: a struct whose fields are the keys of its YAML, and a line in
//! the registry.

use super::check::Problem;
use super::dims::Dims;
use crate::results::view::View;
use crate::workload::case::Case;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// What an entry of any type may have; the others are its type's.
pub const KEYS_OF_EVERY_TYPE: [&str; 7] =
    ["type", "description", "protocol", "warmup", "measure", "trials", "provenance"];

/// An entry of a spec without the keys that all types share.
pub trait Sweep: ToJson + fmt::Debug + Send + Sync {
    /// Refuses what does not fit together, and more cases than anyone would wait for.
    fn check(&self) -> Result<(), Problem>;

    fn cases(&self, group: &str) -> Vec<Case>;

    /// The dimension that a range or a list gives, in types that have one.
    fn dims(&self) -> Option<Dims<'_>> {
        None
    }
}

/// Every sweep is written as it is read: in the keys of the YAML, defaults filled in but for those
/// of its dimension.
pub trait ToJson {
    fn to_json(&self) -> Value;
}

impl<T: Serialize> ToJson for T {
    fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a sweep holds only strings, numbers, lists and maps")
    }
}

#[derive(Debug)]
pub struct Type {
    pub name: &'static str,
    pub group: &'static str,
    pub bench: &'static str,
    pub read: fn(serde_yaml::Value) -> Result<Box<dyn Sweep>, ReadError>,
    pub view: View,
}

/// What is wrong with the keys of an entry, and at which key.
pub type ReadError = serde_path_to_error::Error<serde_yaml::Error>;

/// [`Type::read`] of the type whose struct is `T`.
pub(super) fn read<T>(keys: serde_yaml::Value) -> Result<Box<dyn Sweep>, ReadError>
where
    T: Sweep + DeserializeOwned + 'static,
{
    let sweep: T = serde_path_to_error::deserialize(keys)?;
    Ok(Box::new(sweep))
}
