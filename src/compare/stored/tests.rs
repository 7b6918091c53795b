use super::*;
use crate::compare::comparison::Side;
use crate::compare::side::Run;

/// A run with three trials of each case, by id and level in ms: `a 1.0, b error`.
fn stored(name: &str, cases: &str) -> Stored {
    let case = |case: &str| {
        let (id, ms) = case.split_once(' ').unwrap();
        let run = |ms: f64| {
            let trials = [[ms * 0.999, ms, ms * 1.001], [ms * 1.0, ms * 1.002, ms * 1.003]];
            Run::of(&[&trials[0], &trials[1], &trials[0]]).unwrap()
        };
        let ms: Option<f64> = ms.parse().ok();
        let error = ms.is_none().then(|| "cuda: illegal address".to_owned());
        let case = Case { runs: ms.map(run).into_iter().collect(), error, ..Case::default() };
        (id.to_owned(), case)
    };
    Stored {
        side: Side { name: name.to_owned(), runs: vec![name.to_owned()], device: None },
        is_host: false,
        conditions: BTreeMap::from([("the model".to_owned(), "H200".to_owned())]),
        circumstances: BTreeMap::new(),
        cases: cases.split(", ").map(case).collect(),
        notes: vec![],
    }
}

fn verdicts(base: &str, cand: &str) -> Comparison {
    compare(&stored("a", base), &stored("b", cand), 0.05, Allowed::default()).unwrap()
}

#[test]
fn each_case_gets_its_verdict() {
    let comparison = verdicts(
        "a 1, b 1, c 1, d 1, e error, f 1, h error",
        "a 1.2, b 0.8, c 1.001, d error, e 1, g 1, h error",
    );
    let found = comparison.rows.iter().map(|row| (&*row.case_id, row.verdict, row.fails));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("d", Verdict::NowFails, true),
            ("a", Verdict::Regressed, true),
            ("f", Verdict::OnlyInBase, true),
            ("g", Verdict::OnlyInCand, false),
            ("e", Verdict::NowRuns, false),
            ("b", Verdict::Improved, false),
            ("c", Verdict::Same, false),
            ("h", Verdict::Same, false),
        ]
    );
    assert_eq!(comparison.outcome, Outcome::Regressed);
    assert_eq!(comparison.counts[&Verdict::Same], 2);
    let slower = &comparison.rows[1];
    assert!((slower.ratio.unwrap() - 1.2).abs() < 1e-9);
    let [low, high] = slower.ci95.unwrap();
    assert!(low < 1.2 && 1.2 < high && high - low < 0.1, "{low} {high}");
}

#[test]
fn below_the_threshold_a_change_is_reported_and_fails_nothing() {
    let comparison = verdicts("a 1", "a 1.04");
    assert_eq!(comparison.rows[0].verdict, Verdict::Regressed);
    assert_eq!(comparison.outcome, Outcome::Passed);
}

#[test]
fn a_day_that_is_slower_is_no_slower_case_but_a_much_slower_suite_fails() {
    let base = "a 1, b 1, c 1, d 1, e 1, f 1, g 1";
    let day = verdicts(base, "a 1.03, b 1.03, c 1.03, d 1.133, e 1.03, f 1.03, g 1.03");
    let slower: Vec<&str> = day.failing().map(|row| &*row.case_id).collect();
    assert_eq!(slower, ["d"]);
    assert!(day.notes.iter().any(|note| note.contains("+3.0 %")), "{:?}", day.notes);
    let suite_wide = verdicts(base, &base.replace('1', "1.08"));
    assert!(suite_wide.suite.is_slower && suite_wide.outcome == Outcome::Regressed);
}

/// Seven cases of a host whose trials are slower by these factors.
fn on_host(name: &str, loads: [f64; 3], slower: (&str, f64)) -> Stored {
    let case = |id: &str| {
        let own = if id.ends_with(slower.0) { slower.1 } else { 1.0 };
        // No two cases scatter alike.
        let noise = 0.002 * f64::from(id.as_bytes()[3] % 3);
        let trials = loads.map(|load| [own * load * (1.0 + noise * load); 2]);
        let run = Run::of(&trials.each_ref().map(<[f64; 2]>::as_slice)).unwrap();
        (id.to_owned(), Case { runs: vec![run], ..Case::default() })
    };
    let cases = ["G3/a", "G3/b", "G3/c", "G3/d", "G3/e", "G3/f", "G3/g"].map(case).into();
    Stored { is_host: true, cases, ..stored(name, "a 1") }
}

#[test]
fn what_a_host_does_to_all_cases_is_no_regression() {
    let quiet = [1.0, 1.01, 1.0];
    let base = on_host("a", quiet, ("none", 1.0));
    let with = |loads, slower| {
        compare(&base, &on_host("b", loads, slower), 0.05, Allowed::default()).unwrap()
    };
    let same = with([1.02, 1.01, 1.0], ("none", 1.0));
    assert_eq!((same.outcome, same.counts[&Verdict::Same]), (Outcome::Passed, 7));
    // One case, and a host that did little else meanwhile.
    let slower = with(quiet, ("d", 1.1));
    assert_eq!(slower.outcome, Outcome::Regressed);
    assert_eq!(slower.failing().map(|row| &*row.case_id).collect::<Vec<_>>(), ["G3/d"]);
    let slower = with([1.08; 3], ("d", 1.3));
    assert_eq!((slower.outcome, slower.suite.is_slower), (Outcome::Regressed, false));
    // All cases, for a whole run or in a trial: whatever one of them did beside.
    for (loads, slower) in [([1.08; 3], ("none", 1.0)), ([1.0, 1.0, 1.4], ("d", 1.5))] {
        let busy = with(loads, slower);
        assert_eq!(busy.outcome, Outcome::Inconclusive, "{loads:?}");
        assert!(busy.failing().next().is_none() && !busy.suite.is_slower);
        assert!(busy.notes.iter().any(|note| note.contains("a busy host")), "{:?}", busy.notes);
    }
    // No host slows all of them down by so much, and each as the others.
    for slower in [("none", 1.0), ("d", 1.5)] {
        let all = with([1.3; 3], slower);
        assert!(all.suite.is_slower && all.outcome == Outcome::Regressed, "{:?}", all.notes);
    }
    // On a GPU nobody else moves all cases by 30 %.
    let gpu = |name: &str, loads| Stored { is_host: false, ..on_host(name, loads, ("none", 1.0)) };
    let slower = compare(&gpu("a", quiet), &gpu("b", [1.3; 3]), 0.05, Allowed::default()).unwrap();
    assert_eq!(slower.outcome, Outcome::Regressed);
}

#[test]
fn a_few_cases_on_a_host_tell_nothing_and_an_error_stays_one() {
    let host = |cases: &str| Stored { is_host: true, ..stored("a", cases) };
    let few = compare(&host("a 1, b 1"), &host("a 1, b 1.5"), 0.05, Allowed::default()).unwrap();
    assert_eq!(few.outcome, Outcome::Inconclusive);
    assert!(few.notes.iter().any(|note| note.contains("fewer than")), "{:?}", few.notes);
    let same = compare(&host("a 1, b 1"), &host("a 1, b 1"), 0.05, Allowed::default()).unwrap();
    assert_eq!(same.outcome, Outcome::Passed);
    let failed =
        compare(&host("a 1, b 1"), &host("a 1, b error"), 0.05, Allowed::default()).unwrap();
    assert_eq!(failed.outcome, Outcome::Regressed);
}

#[test]
fn noise_beyond_the_threshold_is_ambiguous() {
    let mut cand = stored("b", "a 1");
    let trials: [&[f64]; 3] = [&[0.9, 0.9], &[1.0, 1.0], &[1.2, 1.2]];
    cand.cases.get_mut("a").unwrap().runs = vec![Run::of(&trials).unwrap()];
    let comparison = compare(&stored("a", "a 1"), &cand, 0.05, Allowed::default()).unwrap();
    assert_eq!(comparison.rows[0].verdict, Verdict::Ambiguous);
    assert_eq!(comparison.outcome, Outcome::Inconclusive, "nothing else is known");
}

#[test]
fn flags_are_told_where_there_is_a_change_and_counted_elsewhere() {
    let mut base = stored("a", "a 1, b 1");
    let mut cand = stored("b", "a 1.2, b 1");
    let flag = |side: &mut Stored, case: &str, flag: &str| {
        side.cases.get_mut(case).unwrap().flags.push(flag.to_owned());
    };
    for case in ["a", "b"] {
        flag(&mut base, case, "drifting");
        flag(&mut cand, case, "drifting");
    }
    flag(&mut cand, "a", "clock_moved");
    let comparison = compare(&base, &cand, 0.05, Allowed::default()).unwrap();
    let remarks: Vec<&[String]> = comparison.rows.iter().map(|row| &*row.remarks).collect();
    assert_eq!(remarks, [&["clock_moved (candidate), drifting (both)".to_owned()][..], &[]]);
    let counted = |text: &str| comparison.notes.iter().any(|note| note.contains(text));
    assert!(counted("the base whose times have a flag: 2 drifting, of 2"));
    assert!(counted("1 clock_moved, 2 drifting, of 2"), "{:?}", comparison.notes);
}

/// A search of all cases for each would take minutes here.
#[test]
fn twenty_thousand_cases_take_no_longer_than_they_are_many() {
    let cases: Vec<String> = (0..20_000).map(|k| format!("G3/fp16/K{k} 1")).collect();
    let cases = cases.join(", ");
    let start = std::time::Instant::now();
    let comparison = verdicts(&cases, &cases);
    assert_eq!(comparison.counts[&Verdict::Same], 20_000);
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn sides_without_a_common_case_are_refused() {
    let one = stored("a", "a 1");
    let error = compare(&one, &stored("b", "z 1"), 0.05, Allowed::default()).unwrap_err();
    assert!(error.to_string().contains("no case in common"), "{error:#}");
}
