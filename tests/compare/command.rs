//! The command: its verdicts, exit codes, formats and files.

use crate::support::{assert_contains, assert_matches_schema, json, names, night_sweep};
use crate::{Runs, changed, compare, sweep};
use night_sweep::compare::comparison::Comparison;
use night_sweep::workload::case::Case;
use std::fs;
use std::path::Path;

#[test]
fn two_runs_get_verdicts_an_exit_code_and_every_format() {
    let runs = Runs::new();
    let (base, mut cand) = changed();
    let slow = cand.iter_mut().find(|(case, _)| case.dim == 77).unwrap();
    slow.1 = slow.1.map(|ms| ms * 1.09);
    let (base, cand) = (runs.of("a", &base, |_| {}), runs.of("b", &cand, |_| {}));
    let out = runs.root.path().join("out");
    let to_out = ["--out", out.to_str().unwrap()];
    let stdout = compare(&base, &cand, &to_out).ended_with(1).stdout;
    let says = ["G3/fp16/K77", "REGRESSED", "NOW_FAILS", "illegal address"];
    assert_contains(&stdout, &says);
    assert_contains(&stdout, &["ONLY_IN_BASE", "ONLY_IN_CAND"]);
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    assert!(stdout.ends_with("Regressed: 3 of 27 cases.\n"), "{stdout}");
    let allowed = compare(&base, &cand, &["--allow-missing"]).ended_with(1).stdout;
    assert!(allowed.ends_with("Regressed: 2 of 27 cases.\n"), "{allowed}");

    let files = ".night-sweep annotations.txt bencher.json comparison.json comparison.md \
                 critcmp-base.json critcmp-cand.json junit.xml ratios.png ratios.svg scatter.png \
                 scatter.svg";
    assert_eq!(names(&out).join(" "), files);
    compare(&base, &cand, &to_out).ended_with(1);
    fs::write(out.join("notes.txt"), "precious").unwrap();
    compare(&base, &cand, &to_out).refused_for(&["--out: ", "notes.txt"]);
    compare(&base, &cand, &["--out", &base]).refused_for(&["the base "]);
    assert!(Path::new(&base).join("raw.json").exists());
    assert_matches_schema(&out.join("comparison.json"), "comparison");
    let comparison: Comparison =
        serde_json::from_value(json(&out.join("comparison.json"))).unwrap();
    let failing: Vec<&str> = comparison.failing().map(|row| &*row.case_id).collect();
    assert_eq!(failing, ["G3/fp16/K70", "G3/fp16/K77", "G3/fp16/K64"]);
    let slower = comparison.failing().nth(1).unwrap();
    let [low, high] = slower.ci95.unwrap();
    assert!((slower.ratio.unwrap() - 1.09).abs() < 0.005, "{slower:?}");
    assert!(low < 1.09 && 1.09 < high, "{slower:?}");
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(text("annotations.txt").matches("::error ").count(), 4);
    let junit = text("junit.xml");
    assert_eq!(junit.matches("<testcase ").count(), 27);
    assert_eq!(junit.matches("<failure ").count(), 3);
    assert!(junit.contains("failures=\"3\" errors=\"0\" skipped=\"1\""), "{junit}");
    assert!(text("comparison.md").starts_with("### ❌ "));
    let bencher = json(&out.join("bencher.json"));
    let latency = &bencher["G3/fp16/K77"]["latency"];
    let value = |name: &str| latency[name].as_f64().unwrap();
    assert!(value("lower_value") <= value("value") && value("value") <= value("upper_value"));
    assert!((value("value") / 193_000.0 - 1.0).abs() < 0.01, "{latency}");
    assert!(bencher.get("G3/fp16/K70").is_none(), "it has no time");
    let critcmp = json(&out.join("critcmp-base.json"));
    assert_eq!(critcmp["benchmarks"]["G3/fp16/K77"]["criterion_benchmark_v1"]["value_str"], "K77");
}

#[test]
fn a_run_against_itself_passes_in_every_format() {
    let runs = Runs::new();
    let folder = runs.of("a", &changed().0, |_| {});
    for (format, part) in [
        ("table", "Passed"),
        ("json", "\"outcome\": \"passed\""),
        ("markdown", "### ✅ "),
        ("junit", "failures=\"0\""),
        ("github", "::notice "),
        ("bencher", "\"latency\""),
    ] {
        assert_contains(
            &compare(&folder, &folder, &["--format", format]).succeeded().stdout,
            &[part],
        );
    }
}

#[test]
fn kernels_that_gave_way_are_named() {
    let runs = Runs::new();
    // The synthetic kernel follows from the dimension; the case is known by its id.
    let renamed = |k: usize, ms: f64| {
        let (case, time) = sweep([(k, Some(ms))]).remove(0);
        (Case { id: "G3/fp16/x".to_owned(), row: "G3/fp16/x".to_owned(), ..case }, time)
    };
    let base = runs.of("a", &[renamed(64, 0.1)], |_| {});
    let cand = runs.of("b", &[renamed(65, 0.2)], |_| {});
    let stdout = compare(&base, &cand, &[]).ended_with(1).stdout;
    let says = "kernels that differ: synthetic_align8 became synthetic_align1";
    assert!(stdout.replace("\n  ", " ").contains(says), "{stdout}");
}

#[test]
fn several_runs_a_side_are_one_side() {
    let runs = Runs::new();
    for id in ["old/a", "old/b", "old/c", "new/d", "new/e", "new/f"] {
        runs.of(id, &changed().0, |_| {});
    }
    let [old, new] = ["old", "new"].map(|name| runs.root.path().join(name));
    let sides = (old.to_str().unwrap(), new.to_str().unwrap());
    let ran = compare(sides.0, sides.1, &["--format", "json"]).succeeded();
    let comparison: Comparison = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(comparison.base.runs, ["a", "b", "c"]);
    assert!(comparison.rows.iter().all(|row| row.base.unwrap().count == 3 * 60));
}

#[test]
fn help_says_when_to_use_which() {
    for command in ["compare", "gate"] {
        let stdout = night_sweep(&[command, "--help"]).succeeded().stdout;
        assert_contains(&stdout, &["pull requests", "Exit codes: 0"]);
    }
}
