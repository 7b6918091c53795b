//! `night-sweep compare`: on runs that never happened, and on files that Criterion wrote.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use assert_cmd::Command;
use night_sweep::compare::comparison::Comparison;
use night_sweep::compare::side::{criterion as baselines, runs};
use night_sweep::journal::Journal;
use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::ProtocolKind;
use night_sweep::ops::error::ErrorKind;
use night_sweep::render;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{assert_matches_schema, json as json_of, names};
use synthetic::{Outcome, journal};
use tempfile::TempDir;

/// A sweep of K with these times in ms; none is an error.
fn sweep(times: impl IntoIterator<Item = (usize, Option<f64>)>) -> Vec<Outcome> {
    let outcome = |(k, ms): (usize, Option<f64>)| {
        let operation = Operation::Gemm(Gemm::dense(GemmShape { m: 64, n: 64, k }));
        let case = Case::row("G3", "fp16", &format!("K{k}"), k, DType::Fp16, operation);
        (case, ms.ok_or((ErrorKind::Cuda, "illegal address")))
    };
    times.into_iter().map(outcome).collect()
}

/// The folder of a run with these outcomes, `change` made to its journal, with noise of its own.
fn run(root: &Path, id: &str, outcomes: &[Outcome], change: impl Fn(&mut Header)) -> PathBuf {
    let (mut header, mut lines) = journal("G3", "G3_gemm_k_dense", "cuda:0", outcomes);
    header.run_id = id.to_owned();
    change(&mut header);
    let mut rng = ChaCha8Rng::seed_from_u64(id.bytes().map(u64::from).sum());
    for line in &mut lines {
        if let Line::Trial(trial) = line {
            let factor = 1.0 + 0.002 * (rng.random::<f64>() - 0.5);
            trial.samples_ms.iter_mut().for_each(|ms| *ms *= factor);
        }
    }
    let dir = root.join("journals").join(id);
    let mut journal = Journal::create(&dir, header).unwrap();
    lines.iter().for_each(|line| journal.append(line).unwrap());
    render::write(journal.path(), Path::new("/nonexistent"), root).unwrap().folder
}

fn night_sweep(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_night-sweep")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A sweep in which one case got slower on other kernels, one faster, one broke and one is new.
fn changed() -> (Vec<Outcome>, Vec<Outcome>) {
    let ms = |k: usize| 0.1 + k as f64 * 1e-3;
    let base = sweep((64..90).map(|k| (k, Some(ms(k)))));
    let cand = sweep((65..91).map(|k| {
        let factor = if k == 80 { 0.8 } else { 1.0 };
        (k, (k != 70).then(|| ms(k) * factor))
    }));
    (base, cand)
}

#[test]
fn two_runs_get_verdicts_an_exit_code_and_every_format() {
    let root = tempfile::tempdir().unwrap();
    let (base, mut cand) = changed();
    let slow = cand.iter_mut().find(|(case, _)| case.dim == 77).unwrap();
    slow.1 = slow.1.map(|ms| ms * 1.09);
    let base = run(root.path(), "a", &base, |_| {});
    let cand = run(root.path(), "b", &cand, |_| {});
    let out = root.path().join("out");
    let (code, stdout, stderr) =
        night_sweep(&["compare", path(&base), path(&cand), "--out", path(&out)]);
    assert_eq!(code, 1, "{stderr}");
    for part in
        ["G3/fp16/K77", "REGRESSED", "NOW_FAILS", "illegal address", "ONLY_IN_BASE", "ONLY_IN_CAND"]
    {
        assert!(stdout.contains(part), "{part} in {stdout}");
    }
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    assert!(stdout.ends_with("Regressed: 2 of 27 cases.\n"), "{stdout}");

    assert_eq!(
        names(&out),
        [
            ".night-sweep",
            "annotations.txt",
            "bencher.json",
            "comparison.json",
            "comparison.md",
            "critcmp-base.json",
            "critcmp-cand.json",
            "junit.xml",
            "ratios.png",
            "ratios.svg",
            "scatter.png",
            "scatter.svg"
        ]
    );
    let again = || night_sweep(&["compare", path(&base), path(&cand), "--out", path(&out)]);
    assert_eq!(again().0, 1, "an earlier comparison is replaced");
    std::fs::write(out.join("notes.txt"), "precious").unwrap();
    let (code, stdout, stderr) = again();
    assert_eq!((code, &*stdout), (2, ""), "{stderr}");
    assert!(stderr.contains("--out: ") && stderr.contains("notes.txt"), "{stderr}");
    let (code, _, stderr) =
        night_sweep(&["compare", path(&base), path(&cand), "--out", path(&base)]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("the base ") && base.join("raw.json").exists(), "{stderr}");
    assert_matches_schema(&out.join("comparison.json"), "comparison");
    let comparison: Comparison =
        serde_json::from_value(json_of(&out.join("comparison.json"))).unwrap();
    let failing: Vec<&str> = comparison.failing().map(|row| &*row.case_id).collect();
    assert_eq!(failing, ["G3/fp16/K70", "G3/fp16/K77"]);
    let slower = &comparison.failing().last().unwrap();
    let [low, high] = slower.ci95.unwrap();
    assert!(
        (slower.ratio.unwrap() - 1.09).abs() < 0.005 && low < 1.09 && 1.09 < high,
        "{slower:?}"
    );
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(text("annotations.txt").matches("::error ").count(), 3);
    let junit = text("junit.xml");
    assert_eq!(junit.matches("<testcase ").count(), 27);
    assert_eq!(junit.matches("<failure ").count(), 2);
    assert!(junit.contains("failures=\"2\""), "{junit}");
    assert!(text("comparison.md").starts_with("### ❌ "));
    let bencher = json_of(&out.join("bencher.json"));
    let latency = &bencher["G3/fp16/K77"]["latency"];
    let value = |name: &str| latency[name].as_f64().unwrap();
    assert!(value("lower_value") <= value("value") && value("value") <= value("upper_value"));
    assert!((value("value") / 193_000.0 - 1.0).abs() < 0.01, "{latency}");
    assert!(bencher.get("G3/fp16/K70").is_none(), "it has no time");
    let critcmp = json_of(&out.join("critcmp-base.json"));
    assert_eq!(critcmp["benchmarks"]["G3/fp16/K77"]["criterion_benchmark_v1"]["value_str"], "K77");
}

#[test]
fn a_run_against_itself_passes_in_every_format() {
    let root = tempfile::tempdir().unwrap();
    let folder = run(root.path(), "a", &changed().0, |_| {});
    for (format, part) in [
        ("table", "Passed"),
        ("json", "\"outcome\": \"passed\""),
        ("markdown", "### ✅ "),
        ("junit", "failures=\"0\""),
        ("github", "::notice "),
        ("bencher", "\"latency\""),
    ] {
        let (code, stdout, _) =
            night_sweep(&["compare", path(&folder), path(&folder), "--format", format]);
        assert!(code == 0 && stdout.contains(part), "{format}: {stdout}");
    }
}

#[test]
fn kernels_that_gave_way_are_named() {
    let root = tempfile::tempdir().unwrap();
    // The synthetic kernel follows from the dimension; the case is known by its id.
    let renamed = |k: usize, ms: f64| {
        let (case, time) = sweep([(k, Some(ms))]).remove(0);
        (Case { id: "G3/fp16/x".to_owned(), row: "G3/fp16/x".to_owned(), ..case }, time)
    };
    let base = run(root.path(), "a", &[renamed(64, 0.1)], |_| {});
    let cand = run(root.path(), "b", &[renamed(65, 0.2)], |_| {});
    let (code, stdout, _) = night_sweep(&["compare", path(&base), path(&cand)]);
    assert_eq!(code, 1);
    let says = "kernels that differ: synthetic_align8 became synthetic_align1";
    assert!(stdout.replace("\n  ", " ").contains(says), "{stdout}");
}

#[test]
fn several_runs_a_side_are_one_side() {
    let root = tempfile::tempdir().unwrap();
    let (outcomes, _) = changed();
    let [old, new] = ["old", "new"].map(|name| root.path().join(name));
    for (dir, ids) in [(&old, ["a", "b", "c"]), (&new, ["d", "e", "f"])] {
        for id in ids {
            run(dir, id, &outcomes, |_| {});
        }
    }
    let (code, stdout, stderr) =
        night_sweep(&["compare", path(&old), path(&new), "--format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let comparison: Comparison = serde_json::from_str(&stdout).unwrap();
    assert_eq!(comparison.base.runs, ["a", "b", "c"]);
    assert!(comparison.rows.iter().all(|row| row.base.unwrap().count == 3 * 60));
}

#[test]
fn other_conditions_are_refused_and_named() {
    let root = tempfile::tempdir().unwrap();
    let outcomes = changed().0;
    let base = run(root.path(), "a", &outcomes, |_| {});
    let cand = run(root.path(), "b", &outcomes, |header| {
        header.env["gpu"]["driver_version"] = "1".into();
        header.protocol.measure = 7;
    });
    let arguments = ["compare", path(&base), path(&cand)];
    let (code, stdout, stderr) = night_sweep(&arguments);
    assert_eq!((code, &*stdout), (2, ""));
    for part in ["the driver (0 and 1)", "measure 200", "measure 7", "--allow-mismatch"] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
    let allowed = [&arguments[..], &["--allow-mismatch"]].concat();
    let (code, stdout, _) = night_sweep(&allowed);
    assert!(code == 0 && stdout.contains("the driver differs: 0 and 1"), "{stdout}");

    for (arguments, part) in [
        (&["compare", path(&base), "/nonexistent"][..], "/nonexistent"),
        (&["compare", path(&base), path(root.path()), "--threshold", "2%"], "the run"),
        (
            &["compare", path(&base), path(&cand), "--allow-mismatch", "--threshold", "2%"],
            "night-sweep gate",
        ),
        (&["compare", path(&base), path(&cand), "--threshold", "x"], "--threshold"),
    ] {
        let (code, stdout, stderr) = night_sweep(arguments);
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?}");
        assert!(stderr.contains(part) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn runs_of_another_protocol_are_refused_and_other_keys_are_no_condition() {
    let root = tempfile::tempdir().unwrap();
    let outcomes = changed().0;
    let base = run(root.path(), "a", &outcomes, |_| {});
    let adaptive = |header: &mut Header| header.protocol.kind = ProtocolKind::Adaptive;
    let trials = |header: &mut Header| header.protocol.trials = 4;
    for (id, change, says) in [
        (
            "b",
            &adaptive as &dyn Fn(&mut Header),
            "(standard, warmup 50, measure 200, trials 3 and adaptive,",
        ),
        ("c", &trials, "measure 200, trials 3 and standard, warmup 50, measure 200, trials 4)"),
    ] {
        let cand = run(root.path(), id, &outcomes, change);
        let (code, stdout, stderr) = night_sweep(&["compare", path(&base), path(&cand)]);
        assert_eq!((code, &*stdout), (2, ""), "{stderr}");
        assert!(stderr.contains(says) && stderr.contains("--allow-mismatch"), "{stderr}");
        let allowed = ["compare", path(&base), path(&cand), "--allow-mismatch"];
        assert_eq!(night_sweep(&allowed).0, 0);
    }
    let cand = run(root.path(), "d", &outcomes, |header| header.config["l2"] = "cold".into());
    let (code, stdout, stderr) = night_sweep(&["compare", path(&base), path(&cand)]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains("L2"), "{stdout}");
}

/// An adaptive run takes more samples in a trial that is noisier.
#[test]
fn trials_are_compared_as_they_were() {
    let root = tempfile::tempdir().unwrap();
    let side = |id: &str| {
        let (mut header, mut lines) = journal("G3", "G3", "cuda:0", &sweep([(64, Some(1.0))]));
        header.run_id = id.to_owned();
        for line in &mut lines {
            let Line::Trial(trial) = line else { continue };
            // In three equal parts these would have medians of 1, 1 and 2.
            trial.samples_ms = vec![trial.trial as f64 + 1.0; if trial.trial == 0 { 8 } else { 2 }];
        }
        let mut journal = Journal::create(&root.path().join("journals").join(id), header).unwrap();
        lines.iter().for_each(|line| journal.append(line).unwrap());
        render::write(journal.path(), Path::new("/nonexistent"), root.path()).unwrap().folder
    };
    let side = runs::read(&side("a")).unwrap();
    let levels: Vec<f64> =
        side.cases["G3/fp16/K64"].runs[0].trials.iter().map(|level| level.exp()).collect();
    for (level, expected) in levels.iter().zip([1.0, 2.0, 3.0]) {
        assert!((level - expected).abs() < 1e-9, "{levels:?}");
    }
}

/// Criterion's files of some benchmarks that take these nanoseconds, under a baseline.
fn criterion_run(home: &Path, baseline: &str, times_ns: &[(&str, u64)]) {
    let mut criterion = criterion::Criterion::default()
        .output_directory(home)
        .without_plots()
        .sample_size(30)
        .nresamples(1001)
        .warm_up_time(Duration::from_nanos(1))
        .measurement_time(Duration::from_nanos(1))
        .save_baseline(baseline.to_owned());
    let mut group = criterion.benchmark_group("group");
    for (name, ns) in times_ns {
        let mut calls = 0;
        group.bench_function(criterion::BenchmarkId::new("series", name), |bencher| {
            bencher.iter_custom(|iterations| {
                calls += 1;
                Duration::from_nanos((ns + calls % 3) * iterations)
            });
        });
    }
}

#[test]
fn criterions_baselines_are_compared_by_name() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("criterion");
    let names = ["a", "b", "c", "d", "e", "f"];
    criterion_run(&home, "main", &names.map(|name| (name, 10_000)));
    criterion_run(
        &home,
        "other",
        &names.map(|name| (name, if name == "c" { 12_000 } else { 10_000 })),
    );
    let compare = |base: &str, cand: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_night-sweep"));
        command.env("CRITERION_HOME", &home).args(["compare", "--criterion", base, cand]);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, stdout, _) = compare("main", "new");
    assert!(code == 1 && stdout.contains("group/series/c"), "{stdout}");
    assert_eq!(stdout.matches("REGRESSED").count(), 2, "counted and listed: {stdout}");
    assert_eq!(compare("main", "main").0, 0);
    let (code, _, stderr) = compare("main", "mian");
    assert!(code == 2 && stderr.contains("--save-baseline mian"), "{stderr}");
}

#[test]
fn help_says_when_to_use_which() {
    for command in ["compare", "gate"] {
        let (code, stdout, _) = night_sweep(&[command, "--help"]);
        assert!(
            code == 0 && stdout.contains("For pull requests") || stdout.contains("pull requests"),
            "{stdout}"
        );
        assert!(stdout.contains("Exit codes: 0"), "{stdout}");
    }
}

fn with_raw(text: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raw.json"), text).unwrap();
    dir
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever lies there, a reader answers or says what is wrong with which file.
    #[test]
    fn no_file_is_too_broken_for_an_error(text in ".*") {
        let dir = with_raw(text.as_bytes());
        let error = format!("{:#}", runs::read(dir.path()).unwrap_err());
        prop_assert!(error.contains("raw.json"), "{}", error);
        let baseline = dir.path().join("g/f/v/main");
        fs::create_dir_all(&baseline).unwrap();
        for name in ["benchmark.json", "estimates.json", "sample.json"] {
            fs::write(baseline.join(name), &text).unwrap();
        }
        let error = format!("{:#}", baselines::read(dir.path(), "main").unwrap_err());
        prop_assert!(error.contains("benchmark.json"), "{}", error);
    }

    /// A sample of Criterion's, whatever its numbers: read, or a case without a time.
    #[test]
    fn any_sample_is_a_run_or_an_error(
        times in prop::collection::vec(prop_oneof![Just(0.0), 1e-3f64..1e12, -1e3f64..0.0], 0..40),
        iters in prop::collection::vec(prop_oneof![Just(0.0), 1.0f64..1e6], 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let baseline = dir.path().join("g/f/v/main");
        fs::create_dir_all(&baseline).unwrap();
        let interval = json!({"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 1.0});
        let estimate = json!({"point_estimate": 1.0, "confidence_interval": interval});
        let estimates = json!({"mean": estimate, "median": estimate, "std_dev": estimate});
        for (name, value) in [
            ("benchmark.json", json!({"full_id": "g/f/v"})),
            ("estimates.json", estimates),
            ("sample.json", json!({"times": times, "iters": iters})),
        ] {
            fs::write(baseline.join(name), value.to_string()).unwrap();
        }
        let side = baselines::read(dir.path(), "main").unwrap();
        let case = &side.cases["g/f/v"];
        prop_assert_eq!(case.runs.is_empty(), case.error.is_some());
        for run in &case.runs {
            prop_assert!(run.trials.iter().all(|trial| trial.is_finite()), "{:?}", run);
            prop_assert!(run.level().is_finite());
        }
    }
}
