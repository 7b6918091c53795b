//! Where the numbers of a row come from.

use crate::support::{assert_valid, json};
use crate::synthetic::{self, SAMPLES, TRIALS, g3, het1, journal};
use crate::{Bench, few};
use night_sweep::journal::record::Line;
use night_sweep::measure::record::Cold;
use serde_json::{Value, json};
use std::fs;

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

/// Criterion's files hold nanoseconds; only those of this very run are quoted.
#[test]
fn criterions_estimates_are_quoted_unless_they_are_of_another_run() {
    let (header, lines) = few(2);
    let bench = Bench::new(header, &lines);
    let raw = bench.raw();
    for (row, factor) in [(0, 1.0), (1, 1.01)] {
        let row = &raw["measurements"][row];
        let id = row["case_id"].as_str().unwrap();
        let mean_ns = factor * 1e6 * row["timing"]["mean"].as_f64().unwrap();
        let dir = bench.criterion_home().join(id).join("new");
        fs::create_dir_all(&dir).unwrap();
        for (name, file) in synthetic::criterion_files(id, mean_ns) {
            fs::write(dir.join(name), file).unwrap();
        }
    }
    let written = bench.write();
    assert_valid(&written.folder);
    let raw = json(&written.folder.join("raw.json"));
    let quoted = &raw["measurements"][0]["criterion"];
    let mean_ms = raw["measurements"][0]["timing"]["mean"].as_f64().unwrap();
    let ratio = quoted["mean_ms"].as_f64().unwrap() / mean_ms;
    assert!((ratio - 1.0).abs() < 1e-9, "{quoted}");
    assert!((quoted["std_dev_ms"].as_f64().unwrap() - 1e-3).abs() < 1e-12);
    assert!(raw["measurements"][1].get("criterion").is_none());
    let warnings = json(&written.folder.join("summary.json"))["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    assert!(warnings[0].as_str().unwrap().starts_with("Criterion's files of 1 rows"), "{warnings}");
}
