//! What a report says against its own numbers: flags of rows, warnings, checks of the run.

use crate::support::{assert_contains, assert_valid};
use crate::synthetic::{SAMPLES, g3, journal};
use crate::{Bench, few};
use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::{Calibration, ProtocolKind, Settled};
use serde_json::{Value, json};

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
    let written = bench.write();
    assert_valid(&written.folder);
    let table = written.table;
    let differ = "! 1 of 5 rows have trials whose medians differ by more than 2 %";
    assert_contains(&table, &[differ]);
    assert_contains(&table, &["! 1 of 5 rows ran below 95 % of the clock"]);
    // Half of the samples lie at 1.000 and 1.004, half at 1.004 and 1.008, twice as many of the
    // outer ones.
    let summary = bench.summary();
    assert!(summary["warnings"].to_string().contains("typically by 0.8 %"), "{summary}");
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
