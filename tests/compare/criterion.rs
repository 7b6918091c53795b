//! Files that Criterion wrote.

use crate::support::{assert_contains, finish, without_our_variables};
use crate::synthetic;
use night_sweep::compare::side::{criterion as baselines, runs};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
    let slow = |name| (name, if name == "c" { 12_000 } else { 10_001 });
    criterion_run(&home, "other", &names.map(slow));
    let compare = |base: &str, cand: &str| {
        let mut command = without_our_variables(env!("CARGO_BIN_EXE_night-sweep"));
        command.env("CRITERION_HOME", &home).args(["compare", "--criterion", base, cand]);
        finish(command)
    };
    let stdout = compare("main", "new").ended_with(1).stdout;
    assert_contains(&stdout, &["group/series/c"]);
    assert_eq!(stdout.matches("REGRESSED").count(), 2, "counted and listed: {stdout}");
    compare("main", "main").succeeded();

    // A file that is broken or missing, on either side: the case is named, the rest compared.
    let file = |name: &str, file: &str| home.join("group/series").join(name).join(file);
    for (text, says) in [
        (Some("{\"mean\":"), "b/new/estimates.json: not as Criterion writes it"),
        (Some("{\"mean\":null,\"median\":null,\"std_dev\":null}"), "b/new/estimates.json: not"),
        (None, "b/new: estimates.json is missing"),
    ] {
        let path = file("b", "new/estimates.json");
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for (base, cand) in [("main", "new"), ("new", "main")] {
            let ran = compare(base, cand);
            assert_contains(&ran.stdout.replace("\n  ", " "), &["left out", says]);
            assert!(ran.stdout.contains("of 5 cases"), "{base} {cand}: {}", ran.stdout);
            assert!(!ran.stdout.contains("ONLY_IN"), "{}", ran.stdout);
        }
    }
    // All but one gone.
    for name in ["a", "b", "d", "e", "f"] {
        fs::remove_dir_all(file(name, "other")).unwrap();
    }
    let ran = compare("main", "other").ended_with(1);
    assert_contains(&ran.stdout, &["5 ONLY_IN_BASE", "--allow-missing"]);
    compare("main", "mian").refused_for(&["--save-baseline mian"]);
}

#[test]
fn a_broken_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raw.json"), "{").unwrap();
    let error = format!("{:#}", runs::read(dir.path()).unwrap_err());
    assert!(error.contains("raw.json"), "{error}");
    let baseline = dir.path().join("g/f/v/main");
    fs::create_dir_all(&baseline).unwrap();
    fs::write(baseline.join("benchmark.json"), "{").unwrap();
    let error = format!("{:#}", baselines::read(dir.path(), "main").unwrap_err());
    assert!(error.contains("benchmark.json"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A sample of Criterion's, whatever its numbers: read, or a case without a time.
    #[test]
    fn any_sample_is_a_run_or_an_error(
        times in prop::collection::vec(prop_oneof![Just(0.0), 1e-3f64..1e12, -1e3f64..0.0], 0..40),
        iters in prop::collection::vec(prop_oneof![Just(0.0), 1.0f64..1e6], 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let baseline = dir.path().join("g/f/v/main");
        fs::create_dir_all(&baseline).unwrap();
        for (name, text) in synthetic::criterion_files("g/f/v", 1.0) {
            fs::write(baseline.join(name), text).unwrap();
        }
        let sample = json!({"times": times, "iters": iters}).to_string();
        fs::write(baseline.join("sample.json"), sample).unwrap();
        let side = baselines::read(dir.path(), "main").unwrap();
        let case = &side.cases["g/f/v"];
        prop_assert_eq!(case.runs.is_empty(), case.error.is_some());
        for run in &case.runs {
            prop_assert!(run.trials.iter().all(|trial| trial.is_finite()), "{:?}", run);
            prop_assert!(run.level().is_finite());
        }
    }
}
