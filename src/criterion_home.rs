//! Where Criterion keeps its files; the journals of our runs lie beside them.

use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

/// Criterion's folder, by its own rule: `$CRITERION_HOME`, else `criterion` in cargo's target folder, else
/// `target/criterion` here.
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
