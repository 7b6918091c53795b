//! Where Criterion keeps its files; the journals of our runs lie beside them.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Criterion's folder, by its own rule: `$CRITERION_HOME`, else `criterion` in cargo's target
/// folder, else `target/criterion` here.
pub fn criterion_home() -> PathBuf {
    if let Some(home) = std::env::var_os("CRITERION_HOME") {
        return PathBuf::from(home);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).or_else(target_of_cargo);
    target.unwrap_or_else(|| PathBuf::from("target")).join("criterion")
}

/// Where the journals of all runs lie, a folder each.
pub fn runs_folder() -> PathBuf {
    criterion_home().join("night-sweep")
}

/// Whether a bench writes a file of this name, or a folder, into a Criterion folder of its own.
pub fn is_of_a_bench(name: &Path, is_dir: bool) -> bool {
    const FILES: [&str; 7] = [
        "benchmark.json",
        "estimates.json",
        "sample.json",
        "tukey.json",
        "raw.csv",
        "journal.jsonl",
        "journal.new",
    ];
    let file = name.file_name().unwrap_or_default();
    let is_drawn = || name.extension().is_some_and(|ending| ending == "svg" || ending == "html");
    let in_report = name.parent().is_some_and(|folder| folder.ends_with("report"));
    is_dir || FILES.iter().any(|known| file == *known) || in_report && is_drawn()
}

fn target_of_cargo() -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = Command::new(std::env::var_os("CARGO")?)
        .args(["metadata", "--format-version", "1"])
        .output()
        .ok()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    Some(metadata.target_directory)
}
