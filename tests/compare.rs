//! `night-sweep compare`: on runs that never happened, and on files that Criterion wrote.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::compare::comparison::{Comparison, Verdict};
use night_sweep::compare::side::{criterion as baselines, runs};
use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::ProtocolKind;
use night_sweep::render;
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{
    Ran, assert_contains, assert_matches_schema, finish, json as json_of, names, night_sweep,
};
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

struct Runs {
    root: TempDir,
}

impl Runs {
    fn new() -> Runs {
        Runs { root: tempfile::tempdir().unwrap() }
    }

    /// The folder of a run with these outcomes and noise of its own, and a changed header.
    fn of(&self, id: &str, outcomes: &[Outcome], change: impl Fn(&mut Header)) -> String {
        let (mut header, mut lines) = journal("G3", outcomes);
        change(&mut header);
        let mut rng = ChaCha8Rng::seed_from_u64(id.bytes().map(u64::from).sum());
        for line in &mut lines {
            if let Line::Trial(trial) = line {
                let factor = 1.0 + 0.002 * (rng.random::<f64>() - 0.5);
                trial.samples_ms.iter_mut().for_each(|ms| *ms *= factor);
            }
        }
        self.write(id, header, &lines)
    }

    /// The folder of a run called `id`, below the folders that it names.
    fn write(&self, id: &str, header: Header, lines: &[Line]) -> String {
        let (below, name) = id.rsplit_once('/').unwrap_or(("", id));
        let header = Header { run_id: name.to_owned(), ..header };
        let journal =
            synthetic::write(&self.root.path().join("journals").join(name), header, lines);
        let root = self.root.path().join(below);
        let written = render::write(&journal, Path::new("/nonexistent"), &root).unwrap();
        written.folder.to_str().unwrap().to_owned()
    }
}

fn compare(base: &str, cand: &str, more: &[&str]) -> Ran {
    night_sweep(&[&["compare", base, cand], more].concat())
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
        serde_json::from_value(json_of(&out.join("comparison.json"))).unwrap();
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
fn other_conditions_are_refused_and_named() {
    let runs = Runs::new();
    let outcomes = changed().0;
    let base = runs.of("a", &outcomes, |_| {});
    let cand = runs.of("b", &outcomes, |header| {
        header.env["gpu"]["driver_version"] = "1".into();
        header.protocol.measure = 7;
    });
    let says = ["the driver (0 and 1)", "measure 200", "measure 7", "--allow-mismatch"];
    compare(&base, &cand, &[]).refused_for(&says);
    let allowed = compare(&base, &cand, &["--allow-mismatch"]).succeeded();
    assert_contains(&allowed.stdout, &["the driver differs: 0 and 1"]);

    let root = runs.root.path().to_str().unwrap();
    for (cand, more, part) in [
        ("/nonexistent", &[][..], "/nonexistent"),
        (root, &["--threshold", "2%"], "the run"),
        (&cand, &["--allow-mismatch", "--threshold", "2%"], "night-sweep gate"),
        (&cand, &["--threshold", "x"], "--threshold"),
    ] {
        compare(&base, cand, more).refused_for(&[part]);
    }

    let trials = |header: &mut Header| header.protocol.trials = 4;
    let adaptive = |header: &mut Header| header.protocol.kind = ProtocolKind::Adaptive;
    let standard = "standard, warmup 50, measure 200, trials 3 and";
    for (id, change, differs) in
        [("c", &adaptive as &dyn Fn(&mut Header), "adaptive,"), ("d", &trials, "standard,")]
    {
        let cand = runs.of(id, &outcomes, change);
        let says = format!("({standard} {differs} warmup 50, measure 200, trials");
        compare(&base, &cand, &[]).refused_for(&[&says, "--allow-mismatch"]);
        compare(&base, &cand, &["--allow-mismatch"]).succeeded();
    }
    let (header, lines) = journal("P1", &synthetic::p1());
    let without = synthetic::with_stand_ins(lines.clone());
    let pytorchs = runs.write("p", header.clone(), &lines);
    let stand_ins = runs.write("q", header, &without);
    let says = "PyTorch in P1_sweep (none and stand-ins)";
    compare(&pytorchs, &stand_ins, &[]).refused_for(&[says]);
    compare(&stand_ins, &stand_ins, &[]).succeeded();
    // Other keys are no condition.
    let cand = runs.of("e", &outcomes, |header| header.config["l2"] = "cold".into());
    let ran = compare(&base, &cand, &[]).succeeded();
    // The first line names folders, which may be called anything.
    assert!(!ran.stdout.lines().skip(1).any(|line| line.contains("L2")), "{}", ran.stdout);
}

/// The trials of each case at other clocks, its times with one over the clock; and the clock of
/// the whole run, or of one case, times `factor`.
fn at_clocks(runs: &Runs, id: &str, slowed: Option<usize>, factor: f64) -> String {
    let (header, mut lines) = journal("G3", &sweep((64..90).map(|k| (k, Some(0.1)))));
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        let k: usize = trial.case_id.rsplit_once('K').unwrap().1.parse().unwrap();
        let own = if slowed.is_none_or(|slowed| slowed == k) { factor } else { 1.0 };
        let clock = own * [1.0, 0.99, 1.01][(trial.trial + k) % 3];
        trial.clocks.as_mut().unwrap().counted_sm_mhz = Some(1800.0 * clock);
        let noise = 2e-4 * ((trial.trial * 5 + k * 3) % 7) as f64;
        trial.samples_ms = vec![0.1 * (1.0 + noise) / clock; 20];
    }
    runs.write(id, header, &lines)
}

#[test]
fn a_lower_clock_is_no_slower_build() {
    let runs = Runs::new();
    let base = at_clocks(&runs, "a", None, 1.0);
    let compared = |cand: &str| -> Comparison {
        let out = runs.root.path().join("out");
        compare(&base, cand, &["--out", out.to_str().unwrap()]).succeeded();
        assert_matches_schema(&out.join("comparison.json"), "comparison");
        serde_json::from_value(json_of(&out.join("comparison.json"))).unwrap()
    };
    for (id, slowed, factor) in [("b", None, 0.98), ("c", Some(77), 0.94)] {
        let found = compared(&at_clocks(&runs, id, slowed, factor));
        assert_eq!(found.counts[&Verdict::Same], 26, "{:?}", found.counts);
        assert!((found.suite.clock_elasticity - 1.0).abs() < 0.05, "{:?}", found.suite);
        let row = found.rows.iter().find(|row| row.case_id == "G3/fp16/K77").unwrap();
        let about = |value: Option<f64>, expected: f64| (value.unwrap() / expected - 1.0).abs();
        assert!(about(row.ratio, 1.0) < 0.005, "{row:?}");
        assert!(about(row.clock_ratio, factor) < 1e-6, "{row:?}");
        assert!(about(row.cycles_ratio, 1.0) < 0.005, "{row:?}");
        let times = row.cand.unwrap().p50_ms / row.base.unwrap().p50_ms;
        assert!(about(Some(times), 1.0 / factor) < 0.005, "the times as they were: {row:?}");
        let note = found.notes.iter().find(|note| note.contains("at equal SM clocks"));
        let note = note.unwrap_or_else(|| panic!("{:?}", found.notes));
        assert!(slowed.is_some() || note.contains("the clock was -2.0 %"), "{note}");
    }
}

#[test]
fn a_slower_build_at_equal_clocks_fails() {
    let runs = Runs::new();
    let times =
        |slower: f64| sweep((64..90).map(|k| (k, Some(if k == 77 { 0.1 * slower } else { 0.1 }))));
    let base = runs.of("a", &times(1.0), |_| {});
    let cand = runs.of("b", &times(1.08), |_| {});
    let stdout = compare(&base, &cand, &["--format", "json"]).ended_with(1).stdout;
    let found: Comparison = serde_json::from_str(&stdout).unwrap();
    let row = &found.rows[0];
    assert_eq!((&*row.case_id, row.verdict, row.fails), ("G3/fp16/K77", Verdict::Regressed, true));
    assert_eq!((row.clock_ratio, found.suite.clock_elasticity), (Some(1.0), 0.0));
    assert!((row.cycles_ratio.unwrap() / 1.08 - 1.0).abs() < 0.01, "{row:?}");
    assert!(!found.notes.iter().any(|note| note.contains("SM clocks")), "{:?}", found.notes);
}

/// A copy of a run folder whose measured rows are changed.
fn edited(folder: &str, change: impl Fn(usize, &mut serde_json::Value)) -> String {
    let copy = format!("{folder}-edited");
    fs::create_dir_all(&copy).unwrap();
    for name in ["raw.json", "env.json"] {
        fs::copy(Path::new(folder).join(name), Path::new(&copy).join(name)).unwrap();
    }
    let path = Path::new(&copy).join("raw.json");
    let mut raw = json_of(&path);
    let rows = raw["measurements"].as_array_mut().unwrap().iter_mut();
    rows.enumerate().for_each(|(at, row)| change(at, row));
    fs::write(&path, raw.to_string()).unwrap();
    copy
}

fn scale(value: &mut serde_json::Value, factor: f64) {
    match value {
        serde_json::Value::Array(values) => values.iter_mut().for_each(|v| scale(v, factor)),
        serde_json::Value::Object(values) => {
            values.iter_mut().filter(|(k, _)| *k != "count").for_each(|(_, v)| scale(v, factor));
        }
        number => *number = json!(number.as_f64().unwrap() * factor),
    }
}

#[test]
fn edited_times_are_slower_or_contradict_each_other() {
    let runs = Runs::new();
    let of = |is_cpu: bool| {
        let cases = sweep((64..90).map(|k| (k, Some(0.1 + k as f64 * 1e-3))));
        runs.of(if is_cpu { "cpu" } else { "gpu" }, &cases, |header| {
            if is_cpu {
                header.device = "cpu".to_owned();
            }
        })
    };
    const TIMES: [&str; 4] = ["timing", "timing_raw", "trial_p50", "ci95_p50"];
    for base in [of(false), of(true)] {
        let scaled = |keys: &'static [&str], factor: f64, only: Option<usize>| {
            edited(&base, |at, row| {
                if only.is_none_or(|only| only == at) {
                    keys.iter().for_each(|key| scale(&mut row[*key], factor));
                }
            })
        };
        let all = compare(&base, &scaled(&TIMES, 1.3, None), &[]).ended_with(1);
        assert_contains(&all.stdout, &["the suite as a whole got slower: +30.0 %"]);
        let one = compare(&base, &scaled(&TIMES, 1.1, Some(7)), &[]).ended_with(1);
        assert_contains(&one.stdout, &["G3/fp16/K71", "Regressed: 1 of 26 cases."]);
        for (keys, factor) in
            [(&["trial_p50"][..], 1.3), (&["trial_p50"], 1.001), (&["timing_raw"], 1.3)]
        {
            let keys: &'static [&str] = keys;
            compare(&base, &scaled(keys, factor, Some(7)), &[])
                .refused_for(&["G3/fp16/K71", "contradict each other"]);
        }
    }
}

/// The trials of an adaptive run differ in their number of samples.
#[test]
fn trials_are_compared_as_they_were() {
    let (header, mut lines) = journal("G3", &sweep([(64, Some(1.0))]));
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        // In three equal parts these would have medians of 1, 1 and 2.
        trial.samples_ms = vec![trial.trial as f64 + 1.0; if trial.trial == 0 { 8 } else { 2 }];
    }
    let runs = Runs::new();
    let side = runs::read(Path::new(&runs.write("a", header, &lines))).unwrap();
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
    let slow = |name| (name, if name == "c" { 12_000 } else { 10_001 });
    criterion_run(&home, "other", &names.map(slow));
    let compare = |base: &str, cand: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_night-sweep"));
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
fn help_says_when_to_use_which() {
    for command in ["compare", "gate"] {
        let stdout = night_sweep(&[command, "--help"]).succeeded().stdout;
        assert_contains(&stdout, &["pull requests", "Exit codes: 0"]);
    }
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
