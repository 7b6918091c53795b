//! What a gate has measured so far, on disk: a file per pair, so that a gate that was killed goes
//! on where it was.

use super::process::{Record, is_of_a_process};
use crate::compare::pair2::Stage;
use crate::files::Kind;
use crate::process::state::{PLAN, Purpose};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

#[derive(Serialize, Deserialize)]
pub struct PairRecord {
    pub base_first: bool,
    pub base: Record,
    pub cand: Record,
}

/// The spec of each stage.
pub const SPECS: [&str; 2] = ["screen.yaml", "confirm.yaml"];

pub const PROCESS: &str = "process-";

const STAGES: [Stage; 3] = [Stage::Screen, Stage::Confirm, Stage::Shift];

pub const KIND: Kind = Kind::of("the state of a gate", is_ours);

pub const PURPOSE: Purpose = Purpose {
    what: "gate",
    advice: "remove the folder, or choose another with --state",
    is_begun: |dir| {
        let names = fs::read_dir(dir).into_iter().flatten().flatten();
        names.into_iter().any(|entry| is_pair(&entry.file_name().to_string_lossy()))
    },
};

pub fn name(stage: Stage, pair: usize) -> String {
    format!("{}-{:02}.json", stage.name(), pair + 1)
}

fn is_pair(name: &str) -> bool {
    let number = name.strip_suffix(".json").and_then(|name| name.rsplit_once('-'));
    number.is_some_and(|(stage, number)| {
        STAGES.iter().any(|known| known.name() == stage) && is_number(number)
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_ours(name: &Path, is_dir: bool) -> bool {
    let mut parts = name.components();
    let first = parts.next().map(|part| part.as_os_str().to_string_lossy()).unwrap_or_default();
    let rest = parts.as_path();
    if first.strip_prefix(PROCESS).is_some_and(is_number) {
        return is_dir || rest != Path::new("") && is_of_a_process(rest, is_dir);
    }
    let is_file = first == PLAN || SPECS.contains(&&*first) || is_pair(&first);
    !is_dir && rest == Path::new("") && is_file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_gate_writes_is_its_own() {
        for name in [
            "plan.json",
            "screen.yaml",
            "screen-01.json",
            "shift-120.json",
            "process-7/.night-sweep",
            "process-7/criterion/G3/M16/K8/new/sample.json",
            "process-7/criterion/night-sweep/gate/journal.jsonl",
        ] {
            assert!(is_ours(Path::new(name), false), "{name}");
        }
        for name in [
            "screen.json",
            "screen-1a.json",
            "notes-01.json",
            "plan.json/plan.json",
            "process-7",
            "process-x/sample.json",
            "process-7/notes.txt",
        ] {
            assert!(!is_ours(Path::new(name), false), "{name}");
        }
        assert!(is_ours(Path::new("process-7"), true) && !is_ours(Path::new("plan.json"), true));
    }
}
