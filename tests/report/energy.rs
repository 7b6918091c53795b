//! The energy of a launch, where it was measured.

use crate::support::{assert_contains, assert_valid, json, names};
use crate::synthetic::{self, all, g3, journal};
use crate::{Bench, assert_png, lasting};
use serde_json::json;
use std::fs;

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
