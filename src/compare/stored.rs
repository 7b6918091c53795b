//! Stored runs against each other. Repeating a case on one day does not average out the day-to-day
//! variance, so only changes from 5 % up fail the comparison; smaller ones are reported.

use super::comparison::{Comparison, Kind, Mismatch, Outcome, Row, Suite, Verdict};
use super::equal_clocks::{Clocks, uncorrected};
use super::host::{self, Doubt};
use super::pair2::MIN_SUITE;
use super::ratio::{Ratio, ratios};
use super::side::{Case, Stored};
use crate::journal::record::SCHEMA_VERSION;
use crate::results::curve::kernel::KernelChange;
use crate::stats::median;
use crate::stats::student::false_discovery;
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// Changes below this fail no comparison of stored runs.
pub const LEAST_THRESHOLD: f64 = 0.05;

/// Changes below 1 % are not called changes, whatever their p.
const LEAST_CHANGE: f64 = 0.00995;

/// Of the verdicts REGRESSED and IMPROVED, at most this share is wrong.
const FALSE_DISCOVERY: f64 = 0.05;

/// A stored baseline should be of so many runs.
const RUNS: usize = 5;

/// What a comparison puts up with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Sides made under different conditions, which are refused otherwise.
    pub mismatch: bool,
    /// A candidate without some cases of the base, which fail otherwise.
    pub missing: bool,
}

/// Compares `cand` with `base`; changes of `threshold` (0.05: 5 %) and more fail.
pub fn compare(
    base: &Stored,
    cand: &Stored,
    threshold: f64,
    allowed: Allowed,
) -> Result<Comparison> {
    ensure!(
        threshold >= LEAST_THRESHOLD,
        "--threshold: stored runs of different days differ by up to {:.0} % for no reason; to see \
         less than that, pair the builds with `night-sweep gate`",
        LEAST_THRESHOLD * 100.0
    );
    let mismatches = mismatches(&base.conditions, &cand.conditions);
    if !mismatches.is_empty() && !allowed.mismatch {
        let list: Vec<String> =
            mismatches.iter().map(|m| format!("{} ({} and {})", m.what, m.base, m.cand)).collect();
        bail!(
            "the two sides differ in {}; --allow-mismatch compares them all the same",
            list.join(", ")
        );
    }
    let is_host = base.is_host || cand.is_host;
    let (mut base, mut cand) = (base.clone(), cand.clone());
    let load =
        if is_host { [&mut base, &mut cand].map(host::take_off_load) } else { [Some(0.0); 2] };
    let (base, cand) = (&base, &cand);
    let ids: BTreeSet<&String> = base.cases.keys().chain(cand.cases.keys()).collect();
    let mut rows = Vec::new();
    let mut timed: Vec<(Row, &Case, &Case)> = Vec::new();
    let mut common = 0;
    for id in ids {
        let (base, cand) = (base.cases.get(id), cand.cases.get(id));
        common += usize::from(base.is_some() && cand.is_some());
        match (base, cand) {
            (Some(base), Some(cand)) if is_timed(base) && is_timed(cand) => {
                timed.push((row(id, Verdict::Same, Some(base), Some(cand)), base, cand));
            }
            _ => {
                let mut row = row(id, untimed(base, cand), base, cand);
                let is_lost = row.verdict == Verdict::OnlyInBase && base.is_some_and(is_timed);
                row.fails |= is_lost && !allowed.missing;
                rows.push(row);
            }
        }
    }
    ensure!(
        common > 0,
        "{} and {} have no case in common: are they of the same experiment?",
        base.side.name,
        cand.side.name
    );
    let pairs: Vec<(&Case, &Case)> = timed.iter().map(|(_, base, cand)| (*base, *cand)).collect();
    let clocks = Clocks::of(&pairs);
    let ratios = ratios(&clocks.equal(&pairs), is_host);
    let (mut suite, removed) = suite(&ratios, threshold, is_host);
    suite.clock_elasticity = clocks.elasticities.overall;
    let differences: Vec<f64> = ratios.iter().map(|ratio| ratio.difference).collect();
    let is_doubtful = is_host && !host::are_slower_alike(&differences);
    let doubt = is_doubtful.then(|| Doubt::of(load, suite.ratio));
    let is_of_cases = doubt.is_some_and(Doubt::is_of_cases);
    // Of Regressed and Passed neither, where the host may be the reason.
    let mut is_open = suite.is_slower && doubt.is_some_and(Doubt::is_of_suite);
    suite.is_slower &= !is_open;
    let p: Vec<f64> = ratios.iter().map(|ratio| ratio.p_around(removed)).collect();
    let q = false_discovery(&p);
    for (at, (mut row, ..)) in timed.into_iter().enumerate() {
        let ratio = &ratios[at];
        row.verdict = judge(ratio, removed, q[at], threshold);
        row.fails =
            row.verdict == Verdict::Regressed && ratio.difference - removed >= threshold.ln_1p();
        if is_of_cases && matches!(row.verdict, Verdict::Regressed | Verdict::Improved) {
            is_open |= row.fails;
            (row.verdict, row.fails) = (Verdict::Ambiguous, false);
        }
        row.ratio = Some(ratio.difference.exp());
        if let Some([time, clock]) = uncorrected(pairs[at]) {
            row.clock_ratio = Some(clock.exp());
            row.cycles_ratio = Some((time + clock).exp());
        }
        row.ci95 = Some(ratio.interval95().map(f64::exp));
        (row.p_value, row.q_value) = (Some(p[at]), Some(q[at]));
        if row.verdict != Verdict::Same {
            let (base, cand) = pairs[at];
            row.remarks.extend(doubts(base, cand));
        }
        rows.push(row);
    }
    let fails = suite.is_slower || rows.iter().any(|row| row.fails);
    // That all may have changed by anything is no answer.
    let mut known = rows.iter().filter(|row| row.ratio.is_some()).peekable();
    let is_hidden = known.peek().is_some() && known.all(|row| row.verdict == Verdict::Ambiguous);
    let comparison = Comparison {
        schema_version: SCHEMA_VERSION.to_owned(),
        kind: Kind::Stored,
        outcome: match () {
            () if fails => Outcome::Regressed,
            () if is_open || is_hidden => Outcome::Inconclusive,
            () => Outcome::Passed,
        },
        base: base.side.clone(),
        cand: cand.side.clone(),
        threshold_pct: threshold * 100.0,
        suite,
        gate: None,
        counts: BTreeMap::new(),
        notes: notes(base, cand, &mismatches, &suite, removed)
            .into_iter()
            .chain(doubt.and_then(Doubt::note))
            .chain(is_hidden.then(|| "no case can be judged: they are too noisy".to_owned()))
            .collect(),
        mismatches,
        rows,
    };
    Ok(comparison.finished())
}

fn is_timed(case: &Case) -> bool {
    !case.runs.is_empty()
}

fn untimed(base: Option<&Case>, cand: Option<&Case>) -> Verdict {
    match (base, cand) {
        (_, None) => Verdict::OnlyInBase,
        (None, _) => Verdict::OnlyInCand,
        (Some(base), Some(_)) if is_timed(base) => Verdict::NowFails,
        (Some(_), Some(cand)) if is_timed(cand) => Verdict::NowRuns,
        _ => Verdict::Same,
    }
}

fn row(id: &str, verdict: Verdict, base: Option<&Case>, cand: Option<&Case>) -> Row {
    let mut row = Row::new(id, verdict);
    let kernels = |case: Option<&Case>| case.map(|case| case.kernels.clone()).unwrap_or_default();
    (row.base, row.cand) = (base.and_then(Case::times), cand.and_then(Case::times));
    row.kernel_change = KernelChange::between(&kernels(base), &kernels(cand));
    for (side, case) in [("base", base), ("candidate", cand)] {
        let Some(case) = case else { continue };
        // An error of some runs, or one that both sides have, is told and is no change.
        row.remarks.extend(case.error.iter().map(|error| format!("{side}: {error}")));
    }
    row
}

/// What makes the times of a case doubtful: `drifting (both), clock_moved (candidate)`.
fn doubts(base: &Case, cand: &Case) -> Option<String> {
    let flags: BTreeSet<&String> = base.flags.iter().chain(&cand.flags).collect();
    let place = |flag: &String| match [base, cand].map(|case| case.flags.contains(flag)) {
        [true, true] => "both",
        [true, false] => "base",
        [false, _] => "candidate",
    };
    let flags: Vec<String> =
        flags.into_iter().map(|flag| format!("{flag} ({})", place(flag))).collect();
    (!flags.is_empty()).then(|| flags.join(", "))
}

/// How often each flag is in a side: `57 drifting, 25 power_capped`.
fn flagged(side: &Stored) -> Option<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for flag in side.cases.values().flat_map(|case| &case.flags) {
        *counts.entry(flag).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.into_iter().map(|(flag, count)| format!("{count} {flag}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// What the cases did as a whole, and what of it to take off: day-to-day variance may shift all of
/// them by some per cent, and a host by anything.
fn suite(ratios: &[Ratio], threshold: f64, is_host: bool) -> (Suite, f64) {
    let differences: Vec<f64> = ratios.iter().map(|ratio| ratio.difference).collect();
    let shift = median(&differences).filter(|_| differences.len() >= MIN_SUITE);
    let is_slower = shift.is_some_and(|shift| shift >= threshold.ln_1p());
    let is_taken_off = is_host || shift.is_some_and(|shift| shift.abs() < threshold.ln_1p());
    let suite = Suite { ratio: shift.map(f64::exp), is_slower, ..Suite::default() };
    (suite, shift.filter(|_| is_taken_off).unwrap_or_default())
}

fn judge(ratio: &Ratio, removed: f64, q: f64, threshold: f64) -> Verdict {
    let difference = ratio.difference - removed;
    let [low, high] = ratio.interval95().map(|end| end - removed);
    let is_change = difference.abs() >= LEAST_CHANGE;
    let is_ruled_out = low > -threshold.ln_1p() && high < threshold.ln_1p();
    match () {
        () if q <= FALSE_DISCOVERY && is_change && difference > 0.0 => Verdict::Regressed,
        () if q <= FALSE_DISCOVERY && is_change => Verdict::Improved,
        () if is_ruled_out && !(is_change && (low > 0.0 || high < 0.0)) => Verdict::Same,
        () => Verdict::Ambiguous,
    }
}

fn mismatches(base: &BTreeMap<String, String>, cand: &BTreeMap<String, String>) -> Vec<Mismatch> {
    let differ = |(what, base): (&String, &String)| {
        let cand = cand.get(what).filter(|cand| *cand != base)?;
        Some(Mismatch { what: what.clone(), base: base.clone(), cand: cand.clone() })
    };
    base.iter().filter_map(differ).collect()
}

fn notes(
    base: &Stored,
    cand: &Stored,
    allowed: &[Mismatch],
    suite: &Suite,
    removed: f64,
) -> Vec<String> {
    let mut notes: Vec<String> =
        allowed.iter().map(|m| format!("{} differs: {} and {}", m.what, m.base, m.cand)).collect();
    let circumstances = mismatches(&base.circumstances, &cand.circumstances).into_iter();
    notes.extend(circumstances.map(|m| format!("{}: {} and {}", m.what, m.base, m.cand)));
    notes.extend(base.notes.iter().chain(&cand.notes).cloned());
    for (name, side) in [("base", base), ("candidate", cand)] {
        let flagged = flagged(side);
        notes.extend(flagged.map(|flagged| {
            format!(
                "cases of the {name} whose times have a flag: {flagged}, of {}",
                side.cases.len()
            )
        }));
    }
    let runs = base.side.runs.len();
    if runs < RUNS {
        notes.push(format!(
            "the base is {runs} {}: {RUNS} over two days or more show the day-to-day variance",
            if runs == 1 { "run" } else { "runs" }
        ));
    }
    match suite.ratio {
        Some(ratio) if suite.is_slower => {
            notes.push(format!("the suite as a whole got slower: {:+.1} %", (ratio - 1.0) * 100.0));
        }
        Some(ratio) if removed.abs() >= LEAST_CHANGE => notes.push(format!(
            "the suite as a whole moved by {:+.1} %: verdicts are about what a case did beyond \
             that",
            (ratio - 1.0) * 100.0
        )),
        _ => {}
    }
    notes
}

#[cfg(test)]
mod tests {
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
        let gpu =
            |name: &str, loads| Stored { is_host: false, ..on_host(name, loads, ("none", 1.0)) };
        let slower =
            compare(&gpu("a", quiet), &gpu("b", [1.3; 3]), 0.05, Allowed::default()).unwrap();
        assert_eq!(slower.outcome, Outcome::Regressed);
    }

    #[test]
    fn a_few_cases_on_a_host_tell_nothing_and_an_error_stays_one() {
        let host = |cases: &str| Stored { is_host: true, ..stored("a", cases) };
        let few =
            compare(&host("a 1, b 1"), &host("a 1, b 1.5"), 0.05, Allowed::default()).unwrap();
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
}
