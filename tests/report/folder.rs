//! Where a report may write: what it replaces, and what it leaves alone.

use crate::support::{RUN_FOLDER, assert_contains, compress, json, names};
use crate::synthetic::g3;
use crate::{Bench, few};
use night_sweep::journal::record::Header;
use serde_json::json;
use std::fs;

#[test]
fn a_folder_of_the_same_run_is_replaced() {
    let bench = Bench::of("G3", &g3()[..4]);
    let folder = bench.write().folder;
    fs::write(folder.join("plots/stale.svg"), "").unwrap();
    assert_eq!(bench.write().folder, folder);
    assert!(!folder.join("plots/stale.svg").exists());
    assert_eq!(names(folder.parent().unwrap()).len(), 1);

    // Older ones have no mark.
    fs::remove_file(folder.join(".night-sweep")).unwrap();
    bench.write();
    assert!(folder.join(".night-sweep").exists());
    // A published copy, with and without its mark.
    for has_mark in [true, false] {
        compress(&folder);
        if !has_mark {
            fs::remove_file(folder.join(".night-sweep")).unwrap();
        }
        bench.write();
        assert_eq!(names(&folder), RUN_FOLDER);
    }
    fs::write(folder.join("notes.txt"), "precious").unwrap();
    let error = bench.refusal();
    assert_contains(&error, &["did not write", "notes.txt"]);
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "precious");
}

#[test]
fn the_folder_of_another_is_not_replaced() {
    // A journal from elsewhere names a folder of the source code.
    let (header, lines) = few(1);
    let header = Header { group: "src".to_owned(), run_id: "bin".to_owned(), ..header };
    let bench = Bench::new(header.clone(), &lines);
    let folder = bench.root().join("src/bin");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.rs"), "precious").unwrap();
    let error = bench.refusal();
    assert_contains(&error, &["is not empty"]);
    assert_eq!(names(&folder), ["main.rs"]);
    fs::remove_file(folder.join("main.rs")).unwrap();
    bench.write();

    // Another run with the same name, with and without a mark, and published.
    let later = Header { started_at: "2026-01-02T00:00:00Z".to_owned(), ..header };
    let other = Bench::new(later, &lines);
    let is_refused = || {
        let error = format!("{:#}", other.try_write(&bench.root()).unwrap_err());
        assert_contains(&error, &["is not empty"]);
    };
    is_refused();
    fs::remove_file(folder.join(".night-sweep")).unwrap();
    is_refused();
    let raw = fs::read(folder.join("raw.json")).unwrap();
    compress(&folder);
    is_refused();
    fs::write(folder.join("raw.json"), raw).unwrap();
    assert_eq!(json(&folder.join("raw.json"))["metadata"]["started_at"], "2026-01-01T00:00:00Z");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (run_id, group) in
        [("../escape", "G3"), ("a/b", "G3"), (".hidden", "G3"), ("", "G3"), ("run", "..")]
    {
        let (header, lines) = few(1);
        let bench = Bench::new(header.clone(), &lines);
        // None of ours has such a name: somebody edited it.
        let text = fs::read_to_string(&bench.journal).unwrap();
        let text = text.replacen(&json!(header.run_id).to_string(), &json!(run_id).to_string(), 1);
        let text = text.replacen("\"group\":\"G3\"", &format!("\"group\":\"{group}\""), 1);
        fs::write(&bench.journal, text).unwrap();
        let error = bench.refusal();
        assert_contains(&error, &["letters, digits"]);
        assert!(!bench.root().exists());
    }
}

#[test]
fn a_root_that_cannot_be_written_is_an_error_and_nothing_is_left() {
    let bench = Bench::of("G3", &g3()[..1]);
    fs::write(bench.root(), "a file, no folder").unwrap();
    let error = bench.refusal();
    assert_contains(&error, &["reports"]);
    assert_eq!(fs::read_to_string(bench.root()).unwrap(), "a file, no folder");

    fs::remove_file(bench.root()).unwrap();
    fs::create_dir(bench.root()).unwrap();
    let folder = bench.root().join("G3/20260101_000000_G3_sweep");
    fs::create_dir(bench.root().join("G3")).unwrap();
    // A file of the run's name is none of ours to replace.
    fs::write(&folder, "precious").unwrap();
    let error = bench.refusal();
    assert_contains(&error, &["no folder"]);
    assert_eq!(names(&bench.root().join("G3")).len(), 1, "nothing hidden is left");
    assert_eq!(fs::read_to_string(&folder).unwrap(), "precious");
}
