//! From a journal to a folder of results, for each type of experiment.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::journal::record::{Failure, Header, Line};
use night_sweep::measure::record::{Calibration, Cold, ProtocolKind, Settled};
use night_sweep::render::{self, Written, plot, table};
use night_sweep::results::raw::Raw;
use night_sweep::results::summary::Summary;
use night_sweep::workload::Case;
use night_sweep::workload::error::ErrorKind;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::{RUN_FOLDER, assert_contains, assert_valid, compress, json, names};
use synthetic::{Outcome, SAMPLES, TRIALS, all, c21, g3, het1, journal, p1, s1, s2};
use tempfile::TempDir;

/// A place to report in, with the journal of a run.
struct Bench {
    dir: TempDir,
    journal: PathBuf,
}

impl Bench {
    fn new(header: Header, lines: &[Line]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let journal = synthetic::write(&dir.path().join("journal"), header, lines);
        Bench { dir, journal }
    }

    fn of(group: &str, outcomes: &[Outcome]) -> Bench {
        let (header, lines) = journal(group, outcomes);
        Bench::new(header, &lines)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("reports")
    }

    fn criterion_home(&self) -> PathBuf {
        self.dir.path().join("criterion")
    }

    fn try_write(&self, root: &Path) -> anyhow::Result<Written> {
        render::write(&self.journal, &self.criterion_home(), root)
    }

    fn write(&self) -> Written {
        self.try_write(&self.root()).unwrap()
    }

    fn refusal(&self) -> String {
        format!("{:#}", self.try_write(&self.root()).err().unwrap())
    }

    fn raw(&self) -> Value {
        json(&self.write().folder.join("raw.json"))
    }

    fn summary(&self) -> Value {
        json(&self.write().folder.join("summary.json"))
    }
}

fn few(cases: usize) -> (Header, Vec<Line>) {
    journal("G3", &g3()[..cases])
}

fn assert_png(path: &Path) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (plot::WIDTH, plot::HEIGHT));
    assert!(bytes.len() > 10_000, "{} has nearly nothing on it", path.display());
}

/// A results root that stays, in `target/tmp`: besides being checked, its plots are for a person to
/// look at.
fn lasting(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn each_experiment_has_its_files_and_plots() {
    let root = lasting("reports");
    for (group, outcomes, plots) in all() {
        let bench = Bench::of(group, &outcomes);
        let written = bench.try_write(&root).unwrap();
        assert_eq!(written.folder, root.join(format!("{group}/20260101_000000_{group}_sweep")));
        assert_eq!(names(&written.folder), RUN_FOLDER);
        let mut expected: Vec<String> =
            plots.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]).collect();
        expected.sort();
        assert_eq!(names(&written.folder.join("plots")), expected);
        for name in plots {
            assert_png(&written.folder.join(format!("plots/{name}.png")));
            let svg = fs::read_to_string(written.folder.join(format!("plots/{name}.svg"))).unwrap();
            assert!(
                svg.starts_with("<svg width=\"1100\" height=\"620\"")
                    && svg.contains("Synthetic GPU")
            );
        }
        assert_valid(&written.folder);
        fs::write(root.join(format!("{group}.txt")), &written.table).unwrap();

        let rows = outcomes.iter().filter(|(case, _)| case.variant.is_none()).count();
        let first = written.table.lines().next().unwrap();
        let start = format!("{group}_sweep on cuda:0 Synthetic GPU: {rows} points, ");
        assert!(first.starts_with(&start), "{first}");
        assert!(first.ends_with(" failed, 3 trials"), "{first}");
        assert!(written.table.lines().all(|line| line.chars().count() <= 100), "{}", written.table);
    }
}

#[test]
fn what_is_on_disk_reads_back_into_its_types() {
    for (group, outcomes) in [("S2", s2()), ("HET1", het1())] {
        let bench = Bench::of(group, &outcomes);
        let folder = bench.write().folder;
        let value = json(&folder.join("raw.json"));
        let raw: Raw = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(raw.measured().count() + raw.failed().count(), raw.measurements.len());
        assert!(raw.measured().all(|row| !row.point.labels.contains_key("timing")));
        assert_eq!(serde_json::to_value(&raw).unwrap(), value);
        let value = json(&folder.join("summary.json"));
        let summary: Summary = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&summary).unwrap(), value);
    }
}

/// As scripts/plot_night_sweep.py of the published suite reads them.
#[test]
fn the_published_readers_find_what_they_look_for() {
    for (group, outcomes, _) in all() {
        let raw = Bench::of(group, &outcomes).raw();
        assert_eq!(raw["experiment"], format!("{group}_sweep"));
        let rows = raw["measurements"].as_array().unwrap();
        for row in rows {
            if row.get("error").is_some() {
                assert!(row.get("timing").is_none());
                continue;
            }
            let timing = &row["timing"];
            for key in ["mean", "std", "min", "max", "p50", "p90", "p99"] {
                assert!(timing[key].is_f64(), "{key}");
            }
            assert_eq!(row["timing_raw"].as_array().unwrap().len(), TRIALS * SAMPLES);
            assert_eq!(row["total_measurements"], TRIALS * SAMPLES);
            assert_eq!(row["trials"], TRIALS);
            assert_eq!(row["dtype"].as_str().unwrap().len(), 4);
            let (integers, floats, texts) = match group {
                "S1" => ("shape/batch shape/seq_len shape/n_heads shape/head_dim", "", ""),
                "S2" | "C21" => ("head_dim", "", "backend"),
                "G3" | "G4" => (
                    "shape/M shape/N shape/K",
                    "derived/tflops_mean derived/bandwidth_gbs_mean derived/tflops_stats/p50",
                    "",
                ),
                "P1" => ("physical_dim logical_dim", "memory_overhead_pct", "operation"),
                _ => ("num_gemm_calls", "derived/effective_tflops", "pattern"),
            };
            let all = |paths: &str, is: fn(&Value) -> bool| {
                let mut values =
                    paths.split_whitespace().map(|path| row.pointer(&format!("/{path}")));
                values.all(|value| value.is_some_and(is))
            };
            assert!(all(integers, Value::is_u64) && all(texts, Value::is_string), "{row}");
            assert!(all(floats, Value::is_f64), "{row}");
            assert!(group != "P1" || row["logical_dim"] == 107);
            if group == "HET1" {
                let several = row["num_gemm_calls"].as_u64() > Some(1);
                assert_eq!(row.get("total_latency_ms").is_some(), several);
            }
        }
    }
}

#[test]
fn numbers_are_those_of_the_journal() {
    let (header, lines) = journal("G3", &g3());
    let of_first = |line: &Line| match line {
        Line::Trial(trial) if trial.case_id == "G3/fp16/K64" => Some(trial.samples_ms.clone()),
        _ => None,
    };
    let samples: Vec<f64> = lines.iter().filter_map(of_first).flatten().collect();
    let raw = Bench::new(header, &lines).raw();
    let row = &raw["measurements"][0];
    assert_eq!(row["timing_raw"], json!(samples));
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let close =
        |value: &Value, expected: f64| (value.as_f64().unwrap() / expected - 1.0).abs() < 1e-12;
    assert!(close(&row["timing"]["mean"], mean));
    let flops = 2.0 * 4096.0 * 4096.0 * 64.0;
    assert!(close(&row["derived"]["tflops_mean"], flops / (mean * 1e-3) / 1e12));
    let bytes = 2.0 * (4096.0 * 64.0 * 2.0 + 4096.0 * 4096.0);
    assert!(close(&row["derived"]["bandwidth_gbs_mean"], bytes / (mean * 1e-3) / 1e9));
    assert_eq!(row["flags"], json!([]));

    // The clock is 1702.5 MHz in all trials.
    let p50 = row["timing"]["p50"].as_f64().unwrap();
    assert!(close(&row["cycles_p50"], p50 * 1702.5e3));
    let of_trials = row["trial_p50"].as_array().unwrap().iter().map(|ms| ms.as_f64().unwrap());
    let cycles = row["trial_cycles"].as_array().unwrap();
    assert_eq!(cycles.len(), TRIALS);
    assert!(cycles.iter().zip(of_trials).all(|(cycles, ms)| close(cycles, ms * 1702.5e3)));
    let [low, high] = [0, 1].map(|end| row["ci95_p50"][end].as_f64().unwrap() / p50);
    assert!(low < 1.0 && 1.0 < high && (low * high - 1.0).abs() < 1e-12, "{low} {high}");
}

#[test]
fn secondary_timings_are_those_of_their_own_line() {
    let (header, mut lines) = few(2);
    let Some(Line::Secondary(first)) =
        lines.iter_mut().find(|line| matches!(line, Line::Secondary(_)))
    else {
        panic!("a secondary line")
    };
    assert_eq!(first.case_id, header.cases[0].id);
    first.isolated_ms = vec![3.0, 4.0, 5.0];
    first.cold = Cold::Samples { buffer_sets: 7, samples_ms: vec![2.0, 2.5, 9.0] };
    first.per_call_ms = vec![6.0];
    let raw = Bench::new(header.clone(), &lines).raw();
    let row = &raw["measurements"][0];
    assert_eq!((&row["isolated"]["p50"], &row["isolated"]["count"]), (&json!(4.0), &json!(3)));
    assert_eq!((&row["cold"]["p50"], &row["cold"]["buffer_sets"]), (&json!(2.5), &json!(7)));
    assert_eq!(
        (&row["per_call"]["p50"], &row["per_call"]["enqueue_us"]),
        (&json!(6.0), &json!(4.5))
    );

    // A run that was killed after its trials has none.
    lines.retain(|line| !matches!(line, Line::Secondary(_) | Line::End(_)));
    let bench = Bench::new(header, &lines);
    let raw = bench.raw();
    assert_eq!(raw["metadata"]["status"], "partial");
    let row = &raw["measurements"][0];
    assert!(["isolated", "cold", "per_call"].iter().all(|key| row.get(key).is_none()), "{row}");
    assert_valid(&bench.write().folder);
}

#[test]
fn energy_has_a_plot_a_column_and_a_finding_where_it_was_measured() {
    let root = lasting("energy");
    for (group, outcomes, plots) in all() {
        let (header, lines) = journal(group, &outcomes);
        let bench = Bench::new(header, &synthetic::with_energy(&outcomes, lines));
        let written = bench.try_write(&root).unwrap();
        assert_valid(&written.folder);
        let has_plot = group != "HET1";
        let drawn = names(&written.folder.join("plots"));
        assert_eq!(drawn.contains(&"energy.svg".to_owned()), has_plot, "{group}: {drawn:?}");
        assert_eq!(drawn.len(), 2 * (plots.len() + usize::from(has_plot)), "{group}: {drawn:?}");
        if has_plot {
            assert_png(&written.folder.join("plots/energy.png"));
            let svg = fs::read_to_string(written.folder.join("plots/energy.svg")).unwrap();
            for part in ["energy of a launch", "energy (", "J)"] {
                assert!(svg.contains(part), "{group}: no {part:?}");
            }
        }
        let page = fs::read_to_string(written.folder.join("report.html")).unwrap();
        let (_, data) = page.split_once("type=\"application/json\"").unwrap();
        assert_contains(data, &["\"energy\":["]);
    }
    assert!(
        !names(&Bench::of("G3", &g3()).write().folder.join("plots")).contains(&"energy.svg".into())
    );
}

#[test]
fn energy_is_of_a_launch_and_says_what_misalignment_costs() {
    let outcomes = &g3()[..81];
    let (header, lines) = journal("G3", outcomes);
    let bench = Bench::new(header, &synthetic::with_energy(outcomes, lines));
    let raw = bench.raw();
    let (row, ms) = (&raw["measurements"][3], *outcomes[3].1.as_ref().unwrap());
    assert_eq!(row["dim"], 67);
    let energy = &row["energy"];
    let close = |key: &str, expected: f64| {
        let value = energy[key].as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 1e-9, "{key}: {value}, not {expected}");
    };
    close("joules_per_launch", 350.0 * ms * 1e-3);
    close("mean_watts", 350.0);
    close("polled_watts", 0.97 * 350.0);
    close("tflop_per_joule", 2.0 * 4096.0 * 4096.0 * 67.0 / (350.0 * ms * 1e-3) * 1e-12);
    close("seconds", 1.6);
    close("launches", 1600.0 / ms);
    close("uncertainty_pct", 0.4);

    let summary = json(&bench.write().folder.join("summary.json"));
    let curve = &summary["energy"][0];
    assert_eq!((&curve["curve"], summary["energy"].as_array().unwrap().len()), (&json!("fp16"), 1));
    // 2.7 times as long at half the power: 1.35 times, less what the larger dimension adds.
    let worst = &curve["worst_penalty"];
    assert_eq!((&worst["dim"], &worst["next_dim"]), (&json!(127), &json!(128)));
    let ratio = worst["ratio"].as_f64().unwrap();
    assert!((ratio - 2.7 / 2.0 * 127.0 / 128.0).abs() < 1e-9, "{ratio}");
    // Two of 4 take 1.25 times as long at half the power.
    assert_eq!(curve["most_efficient"]["dim"].as_u64().unwrap() % 8, 4);
    let findings = summary["findings"].as_array().unwrap();
    let said = findings.iter().filter(|text| text.as_str().unwrap().contains("energy"));
    let said: Vec<_> = said.map(|text| text.as_str().unwrap()).collect();
    assert_eq!(said.len(), 1, "{findings:?}");
    assert_contains(said[0], &["needs the least energy for its work", "TFLOP/J"]);
    assert_contains(said[0], &["K=127 needs 1.34× the energy of K=128", "mJ instead of"]);
    let spent = summary["breakdown"]["device_s"].as_f64().unwrap();
    assert!(spent > 81.0 * 2.2, "{spent}");
}

/// K from 64 to 72, two trials of each, whose medians differ by 0.2 %. 70 takes 5 % longer than
/// what it would be padded to; the trials of 64 differ by 10 %.
#[test]
fn an_adaptive_run_flags_what_it_left_open() {
    let (mut header, mut lines) = few(9);
    header.protocol.trials = 2;
    lines.retain(|line| !matches!(line, Line::Trial(trial) if trial.trial == 2));
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        let level = if trial.case_id.ends_with("K70") { 1.05 } else { 1.0 };
        let apart = if trial.case_id.ends_with("K64") { 0.1 } else { 0.002 };
        let level = level * (1.0 + apart * trial.trial as f64);
        trial.samples_ms = (0..10).map(|k| level * (1.0 + 1e-6 * f64::from(k))).collect();
    }
    let standard = Bench::new(header.clone(), &lines).raw();
    header.protocol.kind = ProtocolKind::Adaptive;
    let bench = Bench::new(header, &lines);
    let raw = bench.raw();
    assert_valid(&bench.write().folder);
    let with = |raw: &Value, flag: &str| -> Vec<Value> {
        let rows = raw["measurements"].as_array().unwrap().iter();
        let has = |row: &&Value| row["flags"].as_array().unwrap().contains(&flag.into());
        rows.filter(has).map(|row| row["dim"].clone()).collect()
    };
    assert!(
        with(&raw, "cliff_undecided").contains(&json!(70)),
        "{:?}",
        with(&raw, "cliff_undecided")
    );
    assert!(with(&raw, "imprecise").contains(&json!(64)), "{:?}", with(&raw, "imprecise"));
    assert!(["cliff_undecided", "imprecise"].iter().all(|flag| with(&standard, flag).is_empty()));
    let warnings = bench.summary()["warnings"].to_string();
    assert_contains(&warnings, &["may be a cliff or not", "is not known to 1 %"]);
}

#[test]
fn checks_find_first_trials_that_are_slower_and_say_what_to_do() {
    let (header, lines) = journal("G3", &g3());
    let check = |header: &Header, lines: &[Line], name: &str| -> (String, String) {
        let summary = Bench::new(header.clone(), lines).summary();
        let checks = summary["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["check"] == name).unwrap();
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        (text("outcome"), text("detail"))
    };
    let name = "first and last trials agree";
    let (outcome, detail) = check(&header, &lines, name);
    assert_eq!(outcome, "yes", "{detail}");
    assert!(!detail.contains("NIGHT_SWEEP_BURN_IN"), "{detail}");
    let slower = |number: usize, factor: f64| {
        let mut lines = lines.clone();
        for line in &mut lines {
            let Line::Trial(trial) = line else { continue };
            if trial.trial == number {
                trial.samples_ms.iter_mut().for_each(|ms| *ms *= factor);
            }
        }
        lines
    };
    let (outcome, detail) = check(&header, &slower(0, 1.01), name);
    assert_eq!(outcome, "no", "{detail}");
    assert_contains(&detail, &["against its last: +1.0", "NIGHT_SWEEP_BURN_IN"]);
    // A trial between them is another matter.
    assert_eq!(check(&header, &slower(1, 1.05), name).0, "yes");
    let (outcome, detail) = check(&header, &slower(1, 1.05), "trials agree");
    assert_eq!(outcome, "no");
    assert_contains(&detail, &["`trials: 6` in the spec"]);

    let start = |header: &Header, start: Option<Settled>| {
        let calibration = header.calibration.map(|found| Calibration { start, ..found });
        Header { calibration, ..header.clone() }
    };
    let moving = start(&header, Some(Settled { sm_mhz: Some(1812.0), steady: false, wait_s: 3.0 }));
    let name = "clock settled before the first trial";
    let (outcome, detail) = check(&moving, &lines, name);
    assert_eq!(outcome, "no");
    assert_contains(&detail, &["still moving, at 1812 MHz", "after 3.0 s"]);
    assert_eq!(check(&start(&header, None), &lines, name).0, "no");
}

#[test]
fn parts_are_added_up_and_a_failed_variant_says_so() {
    let bench = Bench::of("HET1", &het1());
    let raw = bench.raw();
    let severe = &raw["measurements"][3];
    assert_eq!(severe["shape"]["N"], 8 * (128 + 112 + 107 + 96));
    let variants = severe["variants"].as_object().unwrap();
    assert_eq!(
        variants.keys().collect::<Vec<_>>(),
        ["concurrent", "grouped", "padded", "sum_of_parts"]
    );
    assert_eq!(variants["concurrent"]["error_kind"], "cuda");
    // Each part takes 2 us longer alone; the noise is at most 3 %.
    let (sequence, sum) = (&severe["timing"]["min"], &variants["sum_of_parts"]["timing"]["min"]);
    let difference = sum.as_f64().unwrap() - sequence.as_f64().unwrap();
    assert!((0.0..0.02).contains(&difference), "{difference}");
    assert_eq!(variants["sum_of_parts"]["timing"]["count"], TRIALS * SAMPLES);
    assert_eq!(variants["sum_of_parts"]["kernels"].as_array().unwrap().len(), 4);
}

#[test]
fn findings_say_what_the_formula_put_in() {
    let summary = |group: &str, outcomes: &[Outcome]| Bench::of(group, outcomes).summary();
    let about = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 0.02, "{value} is not about {expected}");
    };
    let found = summary("G3", &g3());
    let curve = &found["curves"][0];
    assert_eq!(curve["points"], 81);
    assert_eq!(curve["fastest"]["dim"], 64);
    // Odd sizes cost most, and among them those just below a multiple of 8: which one, the noise
    // decides.
    let worst = curve["worst_penalty"]["dim"].as_u64().unwrap();
    assert_eq!(worst % 8, 7);
    about(&curve["worst_penalty"]["ratio"], 2.7 * worst as f64 / (worst + 1) as f64);
    about(&curve["alignment_classes"]["mod8"], 1.0);
    let findings = found["findings"].to_string();
    assert_contains(&findings, &[" costs 2.6"]);

    let cliffs = curve["cliffs"].as_array().unwrap();
    let at_107 = cliffs.iter().find(|cliff| cliff["dim"] == 107).unwrap();
    assert_eq!(at_107["pad_to"], 112);
    about(&at_107["ratio"], 2.7 * 107.0 / 112.0);
    assert!(at_107["ratio_lower"].as_f64() < at_107["ratio"].as_f64());
    about(&at_107["overhead_pct"], 100.0 * 5.0 / 107.0);
    let kernels = json!({"from": ["synthetic_align1"], "to": ["synthetic_align8"]});
    assert_eq!(at_107["kernel_change"], kernels);
    assert!(cliffs.iter().all(|cliff| cliff["dim"].as_u64().unwrap() % 8 != 0), "{cliffs:?}");
    assert_eq!(curve["unclassified"], json!([160]));
    assert_eq!(curve["steps"], json!([]), "a line through the origin has none");
    let odd = &curve["tiers"][0];
    assert_eq!((&odd["class"], &odd["points"]), (&"odd".into(), &32.into()));
    assert!(odd["p_value"].as_f64().unwrap() <= 0.01, "{odd}");
    assert_eq!(curve["kernel_changes"].as_array().unwrap().len(), 24);
    assert_eq!(curve["kernel_changes"][1]["to_dim"], 72);

    let found = summary("P1", &p1());
    assert_eq!(found["padding"].as_array().unwrap().len(), 6);
    about(&found["padding"][0]["gain"], 2.5);
    about(&found["padding"][0]["on_the_fly_gain"], 1.0 / 0.65);

    let found = summary("S2", &s2());
    assert_eq!(found["failures_by_kind"]["unsupported"], 2);
    let findings = found["findings"].to_string();
    assert_contains(&findings, &["FLASH at 107"]);
    assert_contains(&findings, &["Unsupported: CUDNN at 107; MEM_EFFICIENT at 107."]);
    let taken = "AUTO runs FLASH on padded copies, 7 kernels, at 107; CUDNN at 96, 104, 112, 120 \
                 and 128.";
    assert_contains(&findings, &[&format!("\"{taken}\"")]);
    let change = "head_dim 107: AUTO runs FLASH on copies padded to 112, 7 kernels; 112: CUDNN.";
    assert_contains(&findings, &[&format!("\"{change} The change costs 2.2")]);

    let found = summary("S1", &s1());
    let findings = found["findings"].to_string();
    assert_contains(&findings, &["the kernel alone takes 75.0 % of the time"]);
    let taken = "AUTO runs CUDNN at 64, 72, 80, 88, 96 and 8 others; FLASH on padded copies, 7 \
                 kernels, at 68 others.";
    assert_contains(&findings, &[&format!("\"batch 4, seq_len 2048: {taken}\"")]);
    assert_eq!(findings.matches("the kernel alone").count(), 1, "{findings}");

    let found = summary("C21", &c21());
    let findings = found["findings"].to_string();
    for shape in ["batch 4, seq 2048", "batch 1, seq 4096"] {
        let sentence =
            format!("{shape}: AUTO runs CUDNN at 104, 112, 120 and 128; FLASH on padded copies");
        assert_contains(&findings, &[&format!("{sentence}, 7 kernels, at 21 others.")]);
    }
    // Both shapes cost the same, but for the noise.
    assert_contains(
        &findings,
        &[": AUTO runs FLASH on copies padded to 1", ". The change costs 2.7"],
    );
    assert_eq!(findings.matches("The change costs").count(), 1, "{findings}");

    let found = summary("HET1", &het1());
    let severe = &found["heterogeneity"][2];
    assert_eq!(severe["pattern"], "severe");
    let flops = |n: f64| 2.0 * 4096.0 * 4096.0 * n;
    let (uniform, split) = (flops(4096.0), flops(8.0 * 443.0));
    let penalty = (0.032 + split / 7e11) / split / ((0.008 + uniform / 7e11) / uniform);
    about(&severe["penalty"], penalty);
    about(&severe["variants"]["grouped"], 0.93 * penalty);
}

/// A run without PyTorch says so wherever a time stands under a name of PyTorch's.
#[test]
fn stand_ins_are_labelled_and_pytorchs_are_not() {
    for (group, outcomes, plots) in all() {
        let (header, lines) = journal(group, &outcomes);
        let has_attention = ["S1", "S2", "C21", "P1"].contains(&group);
        let (names, sentence) = match group {
            _ if !has_attention => (json!(null), ""),
            "S2" => {
                let names = json!(["AUTO", "FLASH", "MEM_EFFICIENT", "MATH", "CUDNN"]);
                (names, "AUTO, FLASH, MEM_EFFICIENT, MATH and CUDNN are stand-ins")
            }
            _ => (json!(["AUTO"]), "AUTO is a stand-in"),
        };
        let without = synthetic::with_stand_ins(lines.clone());
        for (lines, root) in [(lines, lasting("pytorch")), (without, lasting("stand-ins"))] {
            let is_labelled = has_attention && root.ends_with("stand-ins");
            let bench = Bench::new(header.clone(), &lines);
            let written = bench.try_write(&root).unwrap();
            assert_valid(&written.folder);
            fs::write(root.join(format!("{group}.txt")), &written.table).unwrap();
            let count = |text: &str| text.to_lowercase().matches("stand-in").count();
            let page = fs::read_to_string(written.folder.join("report.html")).unwrap();
            let (_, data) = page.split_once("type=\"application/json\"").unwrap();
            assert_eq!(data.contains("(stand-in)"), is_labelled, "{group}: curves of the page");
            assert_eq!(count(&page) > 0, is_labelled, "{group}: page");
            // The finding, and the name of a curve or backend at least.
            let (table, labels) = (&written.table, count(&written.table));
            assert!(if is_labelled { labels >= 2 } else { labels == 0 }, "{table}");
            for plot in plots {
                let svg = written.folder.join(format!("plots/{plot}.svg"));
                let svg = fs::read_to_string(svg).unwrap();
                let caption =
                    svg.contains("Stand-ins, not PyTorch") && svg.contains("kernels: AUTO");
                assert_eq!(caption, is_labelled, "{group}: {plot}");
                let by_own_name = group == "C21";
                assert_eq!(svg.contains("(stand-in)"), is_labelled && !by_own_name, "{plot}");
            }
            let summary = json(&written.folder.join("summary.json"));
            let first = summary["findings"][0].as_str().unwrap();
            if is_labelled {
                let why = "not PyTorch's kernels: no PyTorch was loaded; see docs/pytorch.md.";
                assert_eq!(first, format!("{sentence} here, {why}"));
                assert_eq!(summary["stand_ins"], names);
            } else {
                assert!(summary.get("stand_ins").is_none() && count(&summary.to_string()) == 0);
            }
        }
    }
}

#[test]
fn many_backends_fit_a_narrow_terminal_without_a_broken_word() {
    let (header, lines) = journal("S2", &synthetic::s2_of_nine());
    let without = synthetic::with_stand_ins(lines.clone());
    for (lines, root) in [(lines, lasting("nine")), (without, lasting("nine_stand-ins"))] {
        let is_stand_in = root.ends_with("nine_stand-ins");
        let written = Bench::new(header.clone(), &lines).try_write(&root).unwrap();
        let raw: Raw = serde_json::from_value(json(&written.folder.join("raw.json"))).unwrap();
        let summary = json(&written.folder.join("summary.json"));
        let narrow = table::of(&raw, &serde_json::from_value(summary).unwrap(), 80);
        let table: Vec<&str> = narrow.lines().skip(1).collect();
        let is_rule = |line: &&str| line.starts_with('─');
        let last = table.iter().rposition(is_rule).unwrap();
        assert!(table[..last].iter().all(|line| line.chars().count() <= 80), "{}", narrow);
        let words: Vec<&str> = table[..last].iter().flat_map(|line| line.split(' ')).collect();
        let count = |word: &str| words.iter().filter(|known| **known == word).count();
        for name in ["AUTO", "FLASH", "NS_FLASH", "MEM_EFFICIENT", "NS_MEM_EFFICIENT", "NS_CUDNN"] {
            assert_eq!(count(name), 1, "{name} in {}", narrow);
        }
        assert_eq!((count("unsupported"), count("head_dim"), count("128")), (4, 1, 1));
        assert_eq!(count("(stand-in)"), if is_stand_in { 5 } else { 0 }, "{}", narrow);
    }
}

#[test]
fn auto_is_compared_with_the_fastest_of_ours() {
    let mut outcomes = s1();
    for (case, time) in s1().into_iter().filter(|(case, _)| case.variant.is_none()) {
        let fastest = |of: &str| of.replace("B4", "B4_NS").replace("B1", "B1_NS");
        let id = fastest(&case.id);
        let case = Case { row: id.clone(), id, curve: fastest(&case.curve), ..case };
        let factor = if case.dim == 107 { 0.4 } else { 0.5 };
        outcomes.push((case.label("backend", "NS_FASTEST"), time.map(|ms| factor * ms)));
    }
    let (header, lines) = journal("S1", &outcomes);
    let found = Bench::new(header, &lines).summary();
    let sentence = "batch 4, seq_len 2048: AUTO takes up to 2.50× as long as the fastest of ours \
                    (head_dim 107: ";
    let is_it = |finding: &Value| finding.as_str().unwrap().starts_with(sentence);
    let finding = found["findings"].as_array().unwrap().iter().find(|finding| is_it(finding));
    let finding = finding.unwrap_or_else(|| panic!("{}", found["findings"]));
    assert!(finding.as_str().unwrap().ends_with("and 2.00× in the median of 81 head_dims."));
}

#[test]
fn a_killed_run_is_reported_as_far_as_it_got() {
    let (header, lines) = journal("S2", &s2());
    let bench = Bench::new(header.clone(), &lines[..12]);
    let raw = bench.raw();
    assert_eq!(raw["metadata"]["status"], "partial");
    assert_eq!(raw["measurements"][0]["flags"], json!(["fewer_trials"]));
    assert_eq!(raw["measurements"][0]["trials"], 1);
    let last = raw["measurements"].as_array().unwrap().last().unwrap();
    assert_eq!(last["error_kind"], "skipped");
    assert_eq!(last["backend_unsupported"], false);
    assert_valid(&bench.write().folder);
    assert!(bench.write().table.contains("partial"));

    let whole = Bench::new(header.clone(), &lines);
    assert_eq!(whole.raw()["metadata"]["status"], "complete");
    let unsupported = whole.raw()["measurements"][12].clone();
    assert_eq!(unsupported["error_kind"], "unsupported");
    assert_eq!(unsupported["backend_unsupported"], true);

    let nothing = Bench::new(header, &[]);
    assert_valid(&nothing.write().folder);
}

#[test]
fn a_case_that_failed_after_all_has_no_time() {
    let (header, mut lines) = few(2);
    let is_trial = |line: &Line| matches!(line, Line::Trial(_));
    let Line::Trial(last) = lines.remove(lines.iter().rposition(is_trial).unwrap()) else {
        panic!("a trial")
    };
    assert_eq!((&*last.case_id, last.trial), (&*header.cases[1].id, 2));
    lines.push(Line::Failure(Failure {
        case_id: last.case_id,
        trial: 2,
        error_kind: ErrorKind::WrongResult,
        error: "row 3 differs".to_owned(),
    }));
    let raw = Bench::new(header, &lines).raw();
    assert_eq!(raw["measurements"][1]["error_kind"], "wrong_result");
    assert!(raw["measurements"][1].get("timing").is_none());
}

#[test]
fn doubtful_rows_carry_flags() {
    let (header, mut lines) = few(5);
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        if trial.case_id == "G3/fp16/K68" && trial.trial == 2 {
            // Settled is 1700 MHz.
            trial.clocks.as_mut().unwrap().counted_sm_mhz = Some(1600.0);
        }
        if trial.case_id == "G3/fp16/K67" {
            let level = 1.0 + 0.004 * trial.trial as f64;
            trial.samples_ms = (0..SAMPLES).map(|i| level + 1e-5 * i as f64).collect();
        }
        if trial.trial != 1 {
            continue;
        }
        let clocks = trial.clocks.as_mut().unwrap();
        match &*trial.case_id {
            "G3/fp16/K64" => clocks.throttle = vec!["SW_POWER_CAP".to_owned()],
            "G3/fp16/K65" => {
                clocks.throttle = vec!["GPU_IDLE".to_owned(), "HW_THERMAL_SLOWDOWN".to_owned()]
            }
            "G3/fp16/K67" | "G3/fp16/K68" => {}
            _ => trial.samples_ms.iter_mut().for_each(|ms| *ms *= 1.05),
        }
    }
    let bench = Bench::new(header, &lines);
    let raw = bench.raw();
    let flags = raw["measurements"].as_array().unwrap().iter().map(|row| row["flags"].clone());
    let expected = [
        json!(["power_capped"]),
        json!(["throttled: HW_THERMAL_SLOWDOWN"]),
        json!(["unstable"]),
        json!(["drifting"]),
        json!(["clock_moved", "below_settled_clock"]),
    ];
    assert_eq!(flags.collect::<Vec<_>>(), expected);
    let row = &raw["measurements"][3];
    let close = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    };
    close(&row["trial_spread_pct"], 100.0 * (1.008095 / 1.000095 - 1.0));
    // numpy: x = np.arange(20) - 9.5; (x[:-1] @ x[1:]) / (x @ x)
    close(&row["autocorrelation_lag1"], 0.85);
    assert_valid(&bench.write().folder);
    let table = bench.write().table;
    let differ = "! 1 of 5 rows have trials whose medians differ by more than 2 %";
    assert_contains(&table, &[differ]);
    assert_contains(&table, &["! 1 of 5 rows ran below 95 % of the clock"]);
    // Half of the samples lie at 1.000 and 1.004, half at 1.004 and 1.008, twice as many of the
    // outer ones.
    let summary = bench.summary();
    assert!(summary["warnings"].to_string().contains("typically by 0.8 %"), "{summary}");
}

#[test]
fn a_run_without_a_single_time_is_reported_too() {
    for (group, outcomes, plots) in all() {
        let outcomes = synthetic::without_times(outcomes, "too large <&> \u{1b}[31m\0");
        let bench = Bench::of(group, &outcomes);
        let root = lasting("reports-without-times");
        let written = bench.try_write(&root).unwrap();
        assert_valid(&written.folder);
        assert_png(&written.folder.join(format!("plots/{}.png", plots[0])));
        let svg = written.folder.join(format!("plots/{}.svg", plots[0]));
        let svg = fs::read_to_string(svg).unwrap();
        assert_contains(&svg, &["no point was measured"]);
        assert_contains(&svg, &["too large &lt;&amp;&gt; [31m"]);
        assert_contains(&written.table, &["No point was measured."]);
        assert_contains(&written.table, &["out of memory"]);
    }
}

#[test]
fn the_cpu_is_called_by_its_name_wherever_a_number_stands() {
    let (header, lines) = synthetic::journal_of("P1", "P1_sweep", "cpu", &p1());
    let bench = Bench::new(header, &lines);
    let root = lasting("reports-cpu");
    let written = bench.try_write(&root).unwrap();
    assert_valid(&written.folder);
    let first = written.table.lines().next().unwrap();
    assert_contains(first, &["on device: cpu (Synthetic CPU)"]);
    let svg = fs::read_to_string(written.folder.join("plots/p1_padding_rescue.svg")).unwrap();
    assert!(svg.contains("device: cpu"));
    let raw = bench.raw();
    assert_eq!(raw["metadata"]["device"], "cpu");
    assert!(raw["measurements"][0].get("clocks").is_none());
}

/// Criterion's files hold nanoseconds; only those of this very run are quoted.
#[test]
fn criterions_estimates_are_quoted_unless_they_are_of_another_run() {
    let (header, lines) = few(2);
    let bench = Bench::new(header, &lines);
    for (row, factor) in [(0, 1.0), (1, 1.01)] {
        let raw = bench.raw();
        let row = &raw["measurements"][row];
        let id = row["case_id"].as_str().unwrap();
        let mean_ns = factor * 1e6 * row["timing"]["mean"].as_f64().unwrap();
        let dir = bench.criterion_home().join(id).join("new");
        fs::create_dir_all(&dir).unwrap();
        for (name, file) in synthetic::criterion_files(id, mean_ns) {
            fs::write(dir.join(name), file).unwrap();
        }
    }
    let raw = bench.raw();
    let quoted = &raw["measurements"][0]["criterion"];
    let mean_ms = raw["measurements"][0]["timing"]["mean"].as_f64().unwrap();
    let ratio = quoted["mean_ms"].as_f64().unwrap() / mean_ms;
    assert!((ratio - 1.0).abs() < 1e-9, "{quoted}");
    assert!((quoted["std_dev_ms"].as_f64().unwrap() - 1e-3).abs() < 1e-12);
    assert!(raw["measurements"][1].get("criterion").is_none());
    let written = bench.write();
    assert_valid(&written.folder);
    let warnings = json(&written.folder.join("summary.json"))["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    assert!(warnings[0].as_str().unwrap().starts_with("Criterion's files of 1 rows"), "{warnings}");
}

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
