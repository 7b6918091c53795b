//! What the sources have to keep, read from the sources.

#![allow(clippy::unwrap_used)] // in helpers of tests

use std::fs;
use std::path::{Path, PathBuf};

/// A source file below `src`, and its lines up to its tests.
struct Source {
    /// Relative to `src`.
    path: PathBuf,
    lines: Vec<String>,
}

/// All of `src`, without tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
                sources.push(Source {
                    path: path.strip_prefix(&root).unwrap().to_owned(),
                    lines: lines.map(str::to_owned).collect(),
                });
            }
        }
    }
    assert!(sources.len() > 100, "{} sources", sources.len());
    sources
}

#[test]
fn files_are_removed_and_replaced_in_one_module() {
    // `persist` gives a temporary file the name of another; a `TempDir` removes its folder when dropped.
    let words = ["remove_dir", "remove_file", "fs::rename", "rename(", ".persist(", "tempdir"];
    let is_one = |line: &str| {
        let code = line.split("//").next().unwrap();
        words.iter().any(|word| code.contains(word))
    };
    let mut found = Vec::new();
    let is_files = |path: &Path| path == Path::new("files.rs") || path.starts_with("files");
    for Source { path, lines } in sources().iter().filter(|source| !is_files(&source.path)) {
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_one(line)) {
            found.push(format!("src/{}:{}: {}", path.display(), index + 1, line.trim()));
        }
    }
    assert!(found.is_empty(), "use night_sweep::files:\n{}", found.join("\n"));
}
