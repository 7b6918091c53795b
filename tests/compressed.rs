//! Published runs, whose raw.json and summary.json are compressed: every command that reads a run
//! folder reads them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::journal::record::Header;
use night_sweep::render;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::{assert_contains, compress, json as json_of, names, night_sweep};
use synthetic::{Outcome, g3, journal, s1};
use tempfile::TempDir;

/// The folder of a run below a results root.
fn run(root: &Path, group: &str, run_id: &str, outcomes: &[Outcome]) -> PathBuf {
    let (header, lines) = journal(group, outcomes);
    let header = Header { run_id: run_id.to_owned(), ..header };
    let dir = tempfile::tempdir().unwrap();
    let journal = synthetic::write(dir.path(), header, &lines);
    render::write(&journal, Path::new("/nonexistent"), root).unwrap().folder
}

fn gemm() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = run(root.path(), "G3", "a", &g3()[..30]);
    (root, folder)
}

#[test]
fn every_command_gives_the_same_answer_on_a_compressed_copy() {
    let (root, base) = gemm();
    let cand = run(root.path(), "G3", "b", &g3()[..30]);
    let attention = run(root.path(), "S1", "c", &s1()[..12]);
    let folders = [&base, &cand, &attention];
    let [base, cand, attention] = folders.map(|folder| folder.to_str().unwrap());
    let root = root.path().to_str().unwrap();
    let all = format!("{root}/G3");
    let index = Path::new(root).join("index.html");
    let commands: Vec<Vec<&str>> = vec![
        vec!["summary", base],
        vec!["summary", attention],
        vec!["advise", base, "--dims", "67,71", "--format", "json"],
        vec!["export", base, attention, "--format", "csv"],
        vec!["export", base, "--format", "padding-plan"],
        vec!["export", base, "--format", "contract"],
        vec!["export", base, "--format", "latency-table"],
        vec!["export", attention, "--format", "sdpa-table"],
        vec!["compare", base, cand, "--format", "json"],
        vec!["compare", &all, &all, "--format", "json"],
        vec!["report", "--index", "--results-root", root],
    ];
    let answers = || -> Vec<String> {
        let mut answers: Vec<_> =
            commands.iter().map(|command| night_sweep(command).succeeded().stdout).collect();
        answers.push(fs::read_to_string(&index).unwrap());
        answers
    };
    let plain = answers();
    for folder in folders {
        compress(folder);
    }
    assert_eq!(names(folders[0]).iter().filter(|name| name.ends_with(".gz")).count(), 2);
    assert_eq!(answers(), plain);
    assert!(plain.iter().all(|answer| answer.len() > 20), "{plain:#?}");

    // The file itself stands for its folder.
    let file = |folder: &str| format!("{folder}/raw.json.gz");
    let (base_file, attention_file) = (file(base), file(attention));
    for (command, answer) in commands.iter().zip(&plain) {
        let command: Vec<&str> = command
            .iter()
            .map(|word| match *word {
                word if word == base => &*base_file,
                word if word == attention => &*attention_file,
                word => word,
            })
            .collect();
        match command[0] {
            "advise" | "export" => assert_eq!(night_sweep(&command).succeeded().stdout, *answer),
            "compare" if command[1] == base_file => {
                let compared = night_sweep(&command).succeeded().stdout;
                assert_eq!(compared.replace(&base_file, base), *answer);
            }
            _ => {}
        }
    }
}

#[test]
fn of_both_files_the_plain_one_counts() {
    let (_root, folder) = gemm();
    let raw = fs::read(folder.join("raw.json")).unwrap();
    let summary = |folder: &Path| night_sweep(&["summary", folder.to_str().unwrap()]);
    let before = summary(&folder).succeeded().stdout;
    compress(&folder);
    fs::copy(folder.join("raw.json.gz"), folder.join("kept")).unwrap();
    fs::write(folder.join("raw.json.gz"), "no gzip").unwrap();
    fs::write(folder.join("raw.json"), &raw).unwrap();
    assert_eq!(summary(&folder).succeeded().stdout, before);
    fs::rename(folder.join("kept"), folder.join("raw.json.gz")).unwrap();
    fs::write(folder.join("raw.json"), "{").unwrap();
    summary(&folder).refused_for(&["/raw.json is no raw.json of a run"]);
}

#[test]
fn a_broken_file_is_named_in_one_line_by_every_command() {
    let (root, folder) = gemm();
    compress(&folder);
    let file = folder.join("raw.json.gz");
    let whole = fs::read(&file).unwrap();
    let folder = folder.to_str().unwrap();
    let commands = [
        vec!["summary", folder],
        vec!["advise", folder, "--dims", "67"],
        vec!["export", folder, "--format", "csv"],
        vec!["compare", folder, folder],
    ];
    let cut = &whole[..whole.len() / 2];
    for (bytes, says) in [(cut, "the compressed file is cut off"), (b"{}", "cut off")] {
        fs::write(&file, bytes).unwrap();
        for command in &commands {
            night_sweep(command).refused_for(&["cannot read", "raw.json.gz", says]);
        }
    }
    fs::write(&file, &whole[1..]).unwrap();
    for command in &commands {
        night_sweep(command).refused_for(&["cannot read", "raw.json.gz", "it is no gzip file"]);
    }
    // The index leaves it out, and says so.
    let index = ["report", "--index", "--results-root", root.path().to_str().unwrap()];
    let ran = night_sweep(&index).succeeded();
    assert_contains(&ran.stderr, &["left out: G3/a: cannot read", "raw.json.gz"]);
}

/// Whoever wrote it: no median of it is worth anything, and sums of it would overflow.
#[test]
fn what_no_run_measures_is_refused_by_every_command() {
    let (root, folder) = gemm();
    let file = folder.join("raw.json");
    let raw = json_of(&file);
    let at = |key: &str| format!("/measurements/3{key}");
    let id = raw.pointer(&at("/case_id")).unwrap().as_str().unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut raw = raw.clone();
        *raw.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        raw.to_string()
    };
    let folder = folder.to_str().unwrap();
    let reference = format!("--reference={folder}");
    let commands = [
        vec!["summary", folder],
        vec!["advise", folder, "--dims", "67"],
        vec!["export", folder, "--format", "csv"],
        vec!["export", folder, "--format", "latency-table"],
        vec!["compare", folder, folder],
        vec!["compare", folder, &reference],
    ];
    let first = raw.pointer("/measurements/0/case_id").unwrap();
    let schema = changed("/schema_version", json!("3.0"));
    fs::write(&file, schema).unwrap();
    for command in &commands {
        night_sweep(command).refused_for(&["raw.json", "schema version 3.0"]);
    }
    let mut variant = raw.pointer(&at("")).unwrap().clone();
    let of_row = ["timing", "kernels", "derived"].map(|key| (key.to_owned(), variant[key].clone()));
    variant["variants"] = json!({"best_algorithm": Value::Object(of_row.into_iter().collect())});
    variant["variants"]["best_algorithm"]["timing"]["p50"] = json!(0);
    for (key, value, says) in [
        ("/timing/p50", json!(0.0), "timing is 0.0 ms"),
        ("/timing/mean", json!(-1.5), "timing is -1.5 ms"),
        ("/timing/p50", json!(1e300), "timing is 1e+300 ms"),
        ("/isolated/p50", json!(-1), "isolated is -1.0 ms"),
        ("/cold/p90", json!(0), "cold is 0.0 ms"),
        ("/per_call/max", json!(1e300), "per_call is 1e+300 ms"),
        ("", variant, "best_algorithm is 0.0 ms"),
        ("/timing_raw/0", json!(5e-324), "timing_raw is 5e-324 ms"),
        ("/timing_raw", json!([]), "timing_raw has no samples"),
        ("/trial_p50/0", json!(0), "trial_p50 is 0.0 ms"),
        ("/trial_sm_mhz/0", json!(0), "trial_sm_mhz is 0.0 MHz"),
        ("/cycles_p50", json!(-5), "-5.0 are no SM cycles"),
        ("/trial_cycles/0", json!(1e300), "1e+300 are no SM cycles"),
        ("/dim", json!(u64::MAX), "dim 18446744073709551615 is that of no tensor"),
        ("/shape/M", json!(0), "a tensor of [0, "),
        ("/shape/M", json!(u64::MAX), "a tensor of [18446744073709551615, "),
        ("/provider", json!("other"), "unknown variant `other`"),
        ("/timing", json!(null), "invalid type: null"),
    ] {
        fs::write(&file, changed(&at(key), value)).unwrap();
        for command in &commands {
            night_sweep(command).refused_for(&["raw.json", id, says]);
        }
    }
    fs::write(&file, changed(&at("/case_id"), first.clone())).unwrap();
    for command in &commands {
        night_sweep(command).refused_for(&["raw.json", first.as_str().unwrap(), "in it twice"]);
    }
    // The index leaves such a run out.
    for (key, value) in [("/timing/p50", json!(0)), ("/dim", json!(u64::MAX))] {
        fs::write(&file, changed(&at(key), value)).unwrap();
        let index = ["report", "--index", "--results-root", root.path().to_str().unwrap()];
        let ran = night_sweep(&index).succeeded();
        assert_contains(&ran.stderr, &["left out: G3/a: "]);
    }
}
