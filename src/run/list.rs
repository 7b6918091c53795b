//! The experiments of one process: what `night-sweep run` has it measure, and what a process that
//! cannot go on leaves to the next.

use crate::spec::Experiment;
use crate::terminal::say;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Entries of the spec, of any types, in this order.
    pub names: Vec<String>,
    /// The exit code so far.
    pub code: u8,
}

impl List {
    pub fn of<'a>(experiments: impl IntoIterator<Item = &'a Experiment>, code: u8) -> List {
        let names = experiments.into_iter().map(|experiment| experiment.name.clone());
        List { names: names.collect(), code }
    }

    /// As a variable's value.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Said after what stopped the one before them.
pub fn say_not_begun(names: &[String]) {
    if !names.is_empty() {
        say(&format!("night-sweep: not begun: {}", names.join(", ")));
    }
}

/// Of several experiments the exit code is that of the first that did not end with 0.
pub fn first_failure(so_far: u8, ended: u8) -> u8 {
    if so_far == 0 { ended } else { so_far }
}
