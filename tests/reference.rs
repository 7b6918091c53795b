//! `night-sweep compare --reference`: a card against others of its model, on runs that never
//! happened.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::compare::reference::Verdict;
use night_sweep::compare::reference::answer::{CardComparison, Outcome};
use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::Trial;
use night_sweep::render;
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::{
    Ran, assert_contains, assert_matches_schema, finish, json as json_of, names, night_sweep,
    without_our_variables,
};
use synthetic::journal_of;
use tempfile::TempDir;

/// GEMMs over these K, bound by arithmetic; K = 1000 fails.
const DIMS: [usize; 9] = [1000, 1008, 1016, 1024, 1032, 1040, 1048, 1056, 1064];

struct Runs(TempDir);

impl Runs {
    fn new() -> Runs {
        Runs(tempfile::tempdir().unwrap())
    }

    fn path(&self, below: &str) -> String {
        self.0.path().join(below).to_str().unwrap().to_owned()
    }

    /// A run of all GEMMs below `reports`, its header and trials changed.
    fn of(
        &self,
        reports: &str,
        header: impl Fn(&mut Header),
        change: impl Fn(&mut Trial),
    ) -> String {
        let outcome = |k: usize| {
            let operation = Operation::Gemm(Gemm::dense(GemmShape { m: 4096, n: 4096, k }));
            let case = Case::row("G3", "fp16", &format!("K{k}"), k, DType::Fp16, operation);
            let ms = k as f64 / 16e3;
            (case, if k == 1000 { Err((ErrorKind::Cuda, "illegal address")) } else { Ok(ms) })
        };
        let outcomes: Vec<_> = DIMS.into_iter().map(outcome).collect();
        let (mut own, mut lines) = journal_of("G3", "G3_sweep", "cuda:0", &outcomes);
        header(&mut own);
        for line in &mut lines {
            if let Line::Trial(trial) = line {
                change(trial);
            }
        }
        let dir = self.0.path().join("journals").join(reports);
        let journal = synthetic::write(&dir, own, &lines);
        let written =
            render::write(&journal, Path::new("/nonexistent"), &self.0.path().join(reports));
        written.unwrap().folder.to_str().unwrap().to_owned()
    }

    /// A run whose times and clocks are these times those of the others.
    fn at(&self, reports: &str, time: f64, clock: f64) -> String {
        self.of(
            reports,
            |header| header.env["gpu"]["uuid"] = "GPU-12345678-9".into(),
            |trial| {
                scale(trial, time, clock);
            },
        )
    }
}

fn scale(trial: &mut Trial, time: f64, clock: f64) {
    trial.samples_ms.iter_mut().for_each(|ms| *ms *= time);
    let clocks = trial.clocks.as_mut().unwrap();
    clocks.counted_sm_mhz = clocks.counted_sm_mhz.map(|mhz| mhz * clock);
}

fn compare(run: &str, reference: &str, more: &[&str]) -> Ran {
    night_sweep(&[&["compare", run, &format!("--reference={reference}")], more].concat())
}

/// Without line breaks.
fn words(ran: &Ran) -> String {
    ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn time_and_clock_together_make_the_verdict() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    let out = runs.path("out");
    for (id, time, clock, verdict, says) in [
        ("same", 1.0, 1.0, Verdict::AsExpected, "As expected"),
        ("clock", 1.06, 0.95, Verdict::AsExpected, "6.0 % slower in GEMM, at a clock 5.0 %"),
        ("slower", 1.06, 1.0, Verdict::Slower, "6.0 % slower in GEMM, at an equal clock"),
        ("low", 1.2, 0.83, Verdict::SlowerByItsClock, "20.0 % slower in GEMM, at a clock 17.0 %"),
        ("faster", 0.94, 1.0, Verdict::Faster, "6.0 % faster in GEMM"),
        // What is bound by memory takes as long at any clock.
        ("memory", 1.0, 0.8, Verdict::AsExpected, "As expected"),
    ] {
        let code = if verdict.fails() { 1 } else { 0 };
        let says = &says.replace("GEMM", "compute-bound GEMM");
        let run = runs.at(id, time, clock);
        let ran = compare(&run, &reference, &["--out", &out]).ended_with(code);
        assert_contains(&words(&ran), &[says, "8 of 9 cases judged", &verdict.to_string()]);
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ran.stdout);
        assert_eq!(names(Path::new(&out)), [".night-sweep", "reference.json", "reference.md"]);
        let file = Path::new(&out).join("reference.json");
        assert_matches_schema(&file, "reference");
        let found: CardComparison = serde_json::from_value(json_of(&file)).unwrap();
        let [class] = &found.classes[..] else { panic!("{:?}", found.classes) };
        assert_eq!((class.cases, class.verdict), (8, verdict));
        let about = |value: f64, expected: f64| assert!((value / expected - 1.0).abs() < 1e-9);
        about(class.time_ratio, time);
        about(class.clock_ratio, clock);
        about(class.cycles_ratio, time * clock);
        about(class.reference.sm_mhz, 1702.5);
        assert_eq!((class.card.power_w, class.card.temperature_c), (Some(640.0), Some(61.0)));
        assert_eq!(found.findings.len(), usize::from(time != 1.0), "{:?}", found.findings);
        assert_eq!(found.left_out.failed, ["G3/fp16/K1000"]);
        let card = &found.card.cards[0];
        assert_eq!(card.uuid.as_deref(), Some("GPU-12345678-9"));
        assert_eq!((card.copy_gbs, card.fp16_tflops), (Some(4100.0), Some(700.0)));
        assert_eq!(card.power_limit_w, Some(700.0));
        let markdown = fs::read_to_string(Path::new(&out).join("reference.md")).unwrap();
        assert!(markdown.starts_with(if code == 0 { "### ✅ " } else { "### ❌ " }), "{markdown}");
        for (format, part) in [("json", "\"outcome\": "), ("markdown", "### ")] {
            let ran = compare(&run, &reference, &["--format", format]).ended_with(code);
            assert_contains(&ran.stdout, &[part]);
        }
    }
    compare(&reference, &reference, &["--out", &reference]).refused_for(&["the run"]);
    assert!(Path::new(&reference).join("raw.json").exists());
}

#[test]
fn other_kernels_are_named_and_not_judged() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    let own = |header: &mut Header| {
        header.env["gpu"]["driver_version"] = "1".into();
        header.env["libraries"]["cublas"] = "13.2".into();
        header.env["gpu"]["power_limit_w"] = 500.into();
    };
    let run = runs.of("card", own, |trial| {
        if trial.case_id.ends_with("K1064") {
            scale(trial, 3.0, 1.0);
            trial.ran.kernels[0].name = "renamed".to_owned();
        }
    });
    let ran = compare(&run, &reference, &[]).succeeded();
    assert_contains(
        &words(&ran),
        &[
            "7 of 9 cases judged",
            "not judged, as other kernels ran: 1 case (G3/fp16/K1064)",
            "driver: 1 here, 0 in the reference",
            "cuBLAS: 13.2 here, 13.1 in the reference",
            "power limit: 500 W here, 700 W in the reference",
        ],
    );
    let json = compare(&run, &reference, &["--format", "json"]).succeeded().stdout;
    let found: CardComparison = serde_json::from_str(&json).unwrap();
    let [other] = &found.left_out.other_kernels[..] else { panic!("{:?}", found.left_out) };
    assert_eq!((&*other.case_id, &*other.change.to[0]), ("G3/fp16/K1064", "renamed"));
}

#[test]
fn the_published_night_of_the_model_is_found_by_the_runs_in_it() {
    let runs = Runs::new();
    let run = runs.at("card", 1.06, 1.0);
    let published = |more: &[&str]| {
        let mut command = without_our_variables(env!("CARGO_BIN_EXE_night-sweep"));
        command.env("NIGHT_SWEEP_RESULTS_ROOT", runs.path("reports")).args(["compare", &run]);
        finish(with(command, more))
    };
    let other = |header: &mut Header| header.env["gpu"]["name"] = "NVIDIA Other".into();
    let gone = published(&["--reference"]).refused();
    assert_contains(&gone, &["reports/published", "--reference=RUNS"]);
    let others = runs.of("reports/published/a", other, |_| {});
    let says = ["no night of Synthetic GPU", "NVIDIA Other", "--reference=RUNS"];
    published(&["--reference"]).refused_for(&says);
    let says = ["has no run of Synthetic GPU", "NVIDIA Other"];
    published(&[&format!("--reference={others}")]).refused_for(&says);

    // Two nights of the model: the newer run of a case counts.
    for (gpu, started, time) in [("b", "2026-01-03", 1.0), ("c", "2026-01-02", 2.0)] {
        let header = |header: &mut Header| header.started_at = format!("{started}T00:00:00Z");
        runs.of(&format!("reports/published/{gpu}"), header, |trial| scale(trial, time, 1.0));
    }
    for arguments in [&["--reference"][..], &["--reference", "--format", "json"]] {
        let ran = published(arguments).ended_with(1);
        assert_contains(&ran.stdout, &["6.0 % slower in compute-bound GEMM"]);
    }
    let json = published(&["--reference", "--format", "json"]).ended_with(1).stdout;
    let found: CardComparison = serde_json::from_str(&json).unwrap();
    assert_eq!(found.reference.name, runs.path("reports/published"));
    assert_eq!((found.outcome, found.reference.runs.len()), (Outcome::Worse, 1));
    // The option may stand before what is judged.
    let mut command = without_our_variables(env!("CARGO_BIN_EXE_night-sweep"));
    command.args(["compare", "--reference", "--results-root", &runs.path("reports"), &run]);
    finish(command).ended_with(1);
}

#[test]
fn a_case_that_fails_on_this_card_alone_fails_it() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    for (kind, code, says) in [
        (
            "wrong_result",
            1,
            "fails here, and does not in the reference: G3/fp16/K1008 (wrong_result)",
        ),
        // The libraries may differ, and others may hold the memory.
        ("unsupported", 0, "not judged, as it failed: 2 cases (G3/fp16/K1000, G3/fp16/K1008)"),
        ("out_of_memory", 0, "not judged, as it failed: 2 cases"),
    ] {
        let card = runs.at(kind, 1.0, 1.0);
        let file = Path::new(&card).join("raw.json");
        let mut raw = json_of(&file);
        let rows = raw["measurements"].as_array_mut().unwrap();
        let ids = rows.iter().map(|row| row["case_id"].as_str().unwrap().to_owned());
        let ids: Vec<String> = ids.collect();
        let at = |ending: &str| ids.iter().position(|id| id.ends_with(ending)).unwrap();
        let mut failed = rows[at("/K1000")].clone();
        for key in ["case_id", "dim", "shape"] {
            failed[key] = rows[at("/K1008")][key].clone();
        }
        failed["error_kind"] = kind.into();
        rows[at("/K1008")] = failed;
        fs::write(&file, raw.to_string()).unwrap();
        let out = runs.path(&format!("out-{kind}"));
        let ran = compare(&card, &reference, &["--out", &out]).ended_with(code);
        assert_contains(&words(&ran), &[says, "7 of 9 cases judged"]);
        let markdown = fs::read_to_string(Path::new(&out).join("reference.md")).unwrap();
        assert_contains(&markdown.replace('`', ""), &[&says[..15]]);
        assert_matches_schema(&Path::new(&out).join("reference.json"), "reference");
    }
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// The night that lies beside the sources, compressed, where the results root has none.
#[test]
fn a_published_night_is_as_expected_by_itself() {
    let runs = Runs::new();
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("target-reports/published");
    let run = published.join("h200/M1");
    let out = runs.path("out");
    let ran = night_sweep(&[
        "compare",
        run.to_str().unwrap(),
        "--reference",
        "--results-root",
        &runs.path("reports"),
        "--out",
        &out,
    ]);
    ran.succeeded();
    let file = Path::new(&out).join("reference.json");
    assert_matches_schema(&file, "reference");
    let found: CardComparison = serde_json::from_value(json_of(&file)).unwrap();
    assert_eq!(found.reference.name, published.to_str().unwrap());
    let classes: Vec<String> = found.classes.iter().map(|row| row.class.to_string()).collect();
    let operations = ["GEMM", "attention", "decode attention", "whole layer"];
    for operation in operations {
        assert!(classes.iter().any(|class| class.ends_with(operation)), "{classes:?}");
    }
    assert!(found.rows.len() > 500 && found.rows.iter().all(|row| row.time_ratio == 1.0));
    assert!(found.classes.iter().all(|row| row.verdict == Verdict::AsExpected));
    assert!(found.card.cards[0].copy_gbs.is_some_and(|gbs| gbs > 3000.0), "{:?}", found.card);
}

#[test]
fn what_cannot_be_judged_is_refused_or_has_no_answer() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    let run = runs.at("card", 1.0, 1.0);
    let cpu = runs.of("cpu", |header| header.device = "cpu".to_owned(), |_| {});
    compare(&cpu, &reference, &[]).refused_for(&["was measured on a CPU"]);
    for format in ["junit", "github", "bencher"] {
        let says = ["table, json and markdown"];
        compare(&run, &reference, &["--format", format]).refused_for(&says);
    }
    compare(&run, "/nonexistent", &[]).refused_for(&["/nonexistent"]);
    compare("/nonexistent", &reference, &[]).refused_for(&["/nonexistent"]);
    for more in [&["--criterion"][..], &["--threshold", "6%"], &["--allow-missing"]] {
        let ran = compare(&run, &reference, more).ended_with(2);
        assert_contains(&ran.stderr, &["cannot be used with"]);
    }

    // Who writes a space where `=` has to stand is told so.
    night_sweep(&["compare", &run, "--reference", &reference])
        .refused_for(&[&format!("--reference={reference}")]);

    // Another size under the same ids.
    let out = runs.path("out");
    let other = runs.of(
        "other",
        |header| {
            for case in &mut header.cases {
                let shape = GemmShape { m: 64, n: 64, k: case.dim };
                case.operation = Operation::Gemm(Gemm::dense(shape));
            }
        },
        |_| {},
    );
    let ran = compare(&other, &reference, &["--out", &out]).ended_with(3);
    assert_contains(&words(&ran), &["0 of 9 cases judged", "No answer", "not in the reference: 8"]);
    let file = Path::new(&out).join("reference.json");
    assert_matches_schema(&file, "reference");
    assert_eq!(json_of(&file)["outcome"], "inconclusive");
}

#[test]
fn a_name_from_outside_commands_no_terminal() {
    let name = "\u{1b}[2JGPU<img src=x>\u{202e}\n::error::x|`a`[b](c)";
    let runs = Runs::new();
    let hostile = |header: &mut Header| {
        header.env["gpu"]["name"] = name.into();
        header.env["gpu"]["uuid"] = name.into();
        header.env["libraries"]["cublas"] = name.into();
        header.env["settings"]["NIGHT_SWEEP_FAULT"] = name.into();
    };
    let run = runs.of("card", hostile, |trial| trial.ran.kernels[0].name = name.to_owned());
    let is_bare = |text: &str| {
        let is_begun = text.lines().any(|line| line.trim_start().starts_with("::"));
        text.contains(['\u{1b}', '\u{202e}']) || is_begun
    };
    let out = runs.path("out");
    for format in ["table", "json", "markdown"] {
        let ran = compare(&run, &run, &["--format", format, "--out", &out]).succeeded();
        assert_contains(&words(&ran), &["the reference was measured on this card as well"]);
        assert!(!is_bare(&ran.stdout), "{}", ran.stdout);
    }
    let markdown = fs::read_to_string(Path::new(&out).join("reference.md")).unwrap();
    assert!(!is_bare(&markdown) && !markdown.contains("<img"), "{markdown}");
    assert_contains(&markdown, &["&lt;img src=x&gt;", "\\|\\`a\\`\\[b\\](c)"]);
    assert_matches_schema(&Path::new(&out).join("reference.json"), "reference");
    let reference = runs.at("reference", 1.0, 1.0);
    let refused = compare(&run, &reference, &[]).refused();
    assert!(!is_bare(&refused), "{refused}");
}

#[test]
fn nothing_is_judged_of_a_case_whose_kernels_are_not_named() {
    let runs = Runs::new();
    let [run, reference] = ["card", "reference"].map(|reports| {
        runs.of(
            reports,
            |_| {},
            |trial| {
                if trial.case_id.ends_with("K1064") {
                    trial.ran.kernels.clear();
                }
            },
        )
    });
    let named = runs.at("named", 1.0, 1.0);
    for (run, reference) in [(&run, &reference), (&run, &named), (&named, &reference)] {
        let ran = compare(run, reference, &[]).succeeded();
        let says = ["7 of 9 cases judged", "as other kernels ran: 1 case (G3/fp16/K1064)"];
        assert_contains(&words(&ran), &says);
    }
}

#[test]
fn an_env_that_is_there_has_to_be_read() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    let run = runs.at("card", 1.0, 1.0);
    let env = Path::new(&run).join("env.json");
    let refused = |says: &[&str]| {
        compare(&run, &reference, &[]).refused_for(says);
        compare(&reference, &run, &[]).refused_for(says);
        night_sweep(&["compare", &run, &reference]).refused_for(says);
    };
    for broken in ["{", "null", "[]", "\"text\""] {
        fs::write(&env, broken).unwrap();
        refused(&["env.json is no env.json of a run"]);
    }
    fs::remove_file(&env).unwrap();
    compare(&run, &reference, &[]).succeeded();
    fs::create_dir(&env).unwrap();
    refused(&["cannot read", "env.json", "it is a folder"]);
}

#[test]
fn a_folder_is_looked_through_as_deep_as_it_is_said() {
    let runs = Runs::new();
    let reference = runs.at("reference", 1.0, 1.0);
    let deep = runs.at("a/b", 1.0, 1.0);
    compare(&runs.path("a"), &reference, &[]).refused_for(&["`<run id>` or `<group>/<run id>`"]);
    compare(&runs.path("a/b"), &reference, &[]).succeeded();
    // Links around in a circle.
    std::os::unix::fs::symlink(".", runs.path("a/b/again")).unwrap();
    compare(&deep, &runs.path("a"), &[]).succeeded();
    compare("", &reference, &[]).ended_with(2);
    compare(&deep, "", &[]).ended_with(2);
}

/// Two cards a side, each with half of the cases.
#[test]
fn power_limits_differ_whatever_card_has_them() {
    let runs = Runs::new();
    let card = |reports: &str, uuid: &str, watts: u32, half: usize| {
        let own = |header: &mut Header| {
            header.env["gpu"]["uuid"] = uuid.into();
            header.env["gpu"]["power_limit_w"] = watts.into();
        };
        let file = Path::new(&runs.of(reports, own, |_| {})).join("raw.json");
        let mut raw = json_of(&file);
        let rows = raw["measurements"].as_array_mut().unwrap();
        let kept = rows.iter().skip(half).step_by(2).cloned().collect();
        *rows = kept;
        fs::write(&file, raw.to_string()).unwrap();
    };
    card("card/a", "GPU-1", 500, 0);
    card("card/b", "GPU-2", 700, 1);
    card("reference/a", "GPU-3", 700, 0);
    card("reference/b", "GPU-4", 500, 1);
    let all = |side: &str| {
        let folders = fs::read_dir(runs.path(side)).unwrap().map(|entry| entry.unwrap().path());
        for folder in folders.collect::<Vec<_>>() {
            let run = fs::read_dir(folder.join("G3")).unwrap().next().unwrap().unwrap().path();
            fs::rename(run, folder.join("run")).unwrap();
        }
        runs.path(side)
    };
    let ran = compare(&all("card"), &all("reference"), &[]).succeeded();
    assert_contains(&words(&ran), &["8 of 9 cases judged"]);
    assert!(!ran.stdout.contains("power limit:"), "{}", ran.stdout);
}
