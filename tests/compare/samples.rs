//! The times that are compared: as they were measured, edited, or of a broken file.

use crate::support::{assert_contains, json};
use crate::synthetic::journal;
use crate::{Runs, compare, sweep};
use night_sweep::compare::side::runs;
use night_sweep::journal::record::Line;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

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

/// A copy of a run folder whose measured rows are changed.
fn edited(folder: &str, change: impl Fn(usize, &mut Value)) -> String {
    let copy = format!("{folder}-edited");
    fs::create_dir_all(&copy).unwrap();
    for name in ["raw.json", "env.json"] {
        fs::copy(Path::new(folder).join(name), Path::new(&copy).join(name)).unwrap();
    }
    let path = Path::new(&copy).join("raw.json");
    let mut raw = json(&path);
    let rows = raw["measurements"].as_array_mut().unwrap().iter_mut();
    rows.enumerate().for_each(|(at, row)| change(at, row));
    fs::write(&path, raw.to_string()).unwrap();
    copy
}

fn scale(value: &mut Value, factor: f64) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|v| scale(v, factor)),
        Value::Object(values) => {
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
