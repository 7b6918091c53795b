//! Paths that lead to pipes, devices, folders, and files far too large: one line each, at once.

use crate::sandbox::{Ran, Sandbox, assert_contains};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

const RUN_ID: &str = "sound";

/// What may lie where a file belongs, and what is said of it.
const SPECIAL: [(&str, &str); 4] = [
    ("pipe", "it is a pipe, not a file"),
    ("device", "it is a device, not a file"),
    ("folder", "it is a folder"),
    ("hole", "it is larger than"),
];

/// Puts it in the place of `path`, whatever was there.
fn put(what: &str, path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).unwrap();
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
    match what {
        "pipe" => mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap(),
        "device" => symlink("/dev/zero", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        _ => File::create(path).unwrap().set_len(1 << 40).unwrap(),
    }
}

fn assert_refused_for_each(path: &Path, run: impl Fn() -> Ran) {
    let sound = fs::read(path).unwrap_or_default();
    for (what, says) in SPECIAL {
        put(what, path);
        let line = run().refused();
        // In a folder a journal is looked for, and none is written to by way of a link.
        let is_other = what == "folder" || line.contains("is a symbolic link");
        assert!(line.contains(says) || is_other, "{}: {line}", path.display());
        assert_contains(&line, &[path.file_name().unwrap().to_str().unwrap()]);
    }
    put("hole", path);
    fs::write(path, sound).unwrap();
}

#[test]
fn nothing_but_a_file_of_some_size_is_read() {
    let sandbox = Sandbox::new();
    sandbox.g3_as(RUN_ID).succeeded();
    let folder = sandbox.results().join("G3").join(RUN_ID);
    let (text, root) = (folder.to_str().unwrap(), sandbox.results());
    let other = sandbox.dir().join("other");
    let other_text = other.to_str().unwrap();

    assert_refused_for_each(&sandbox.spec(), || sandbox.g3(&[]));
    let journal = sandbox.journal(RUN_ID);
    assert_refused_for_each(&journal, || sandbox.report(journal.to_str().unwrap()));
    assert_refused_for_each(&journal, || sandbox.resume(RUN_ID));
    assert_refused_for_each(&journal, || sandbox.night_sweep(&["merge", RUN_ID]));
    let raw = folder.join("raw.json");
    assert_refused_for_each(&raw, || sandbox.night_sweep(&["summary", text]));
    assert_refused_for_each(&raw, || sandbox.night_sweep(&["advise", text, "--dims", "9"]));
    assert_refused_for_each(&other, || {
        sandbox.night_sweep(&["advise", text, "--dims-file", other_text])
    });
    assert_refused_for_each(&other, || {
        let root = root.to_str().unwrap();
        let index = ["report", "--index", "--results-root", root, "--reference", other_text];
        sandbox.night_sweep(&index)
    });

    // What belongs to one of several is left out by name.
    let sample = sandbox.criterion_home().join("G3/M16_N16_fp16/K8/new/sample.json");
    for (what, says) in SPECIAL {
        put(what, &sample);
        let ran = sandbox.report(RUN_ID).succeeded();
        assert_contains(&ran.stdout, &["Criterion's files of 1 rows cannot be read", says]);
    }
}
