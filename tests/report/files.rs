//! What lies in a run folder: its files, their types, and what others read of them.

use crate::support::{RUN_FOLDER, assert_contains, assert_valid, json, names};
use crate::synthetic::{self, SAMPLES, TRIALS, all, het1, p1, s2};
use crate::{Bench, assert_png, lasting};
use night_sweep::results::raw::Raw;
use night_sweep::results::summary::Summary;
use serde_json::{Value, json};
use std::fs;

#[test]
fn each_experiment_has_its_files_and_plots() {
    let root = lasting("reports");
    for (group, outcomes, plots) in all() {
        let bench = Bench::of(group, &outcomes);
        let written = bench.try_write(&root).unwrap();
        assert_eq!(written.folder, root.join(format!("{group}/20260101_000000_{group}_sweep")));
        assert_eq!(names(&written.folder), RUN_FOLDER);
        let (raw, summary) = bench.results();
        assert!(json(&written.folder.join("raw.json")) == json!(raw), "{group}");
        let mut on_disk = json(&written.folder.join("summary.json"));
        on_disk["breakdown"] = json!(summary.breakdown);
        assert!(on_disk == json!(summary), "{group}");
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
