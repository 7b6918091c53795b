//! Runs under other conditions, and at other clocks.

use crate::support::{assert_contains, assert_matches_schema, json};
use crate::synthetic::{self, journal};
use crate::{Runs, changed, compare, sweep};
use night_sweep::compare::comparison::{Comparison, Verdict};
use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::ProtocolKind;

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
        serde_json::from_value(json(&out.join("comparison.json"))).unwrap()
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
