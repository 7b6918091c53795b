//! From what a gate found out to its verdicts.

use super::measuring::Gate;
use super::noise_floor::NoiseFloor;
use super::request::variables;
use crate::compare::comparison::{
    Comparison, Kind, Measured, Mismatch, Outcome, Row, Side, Suite, Times, Verdict,
};
use crate::compare::pair2::floor::mde;
use crate::compare::pair2::screen::{Direction, Screened};
use crate::compare::pair2::shift::Cause;
use crate::compare::pair2::{Found, MIN_SUITE, Stage};
use crate::journal::record::SCHEMA_VERSION;
use crate::process::child::Bench;
use crate::results::curve::kernel::KernelChange;
use crate::stats::median;
use crate::stats::student::{false_discovery, t95};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

const PYTORCH: &str = "PyTorch";

/// So many cases have to have a time to be trusted in every pair of the screen.
const CLEAN: f64 = 0.95;

/// A case whose noise hides more than this, or than a higher threshold, is not judged.
const HIDDEN_PCT: f64 = 10.0;
/// Of so few cases that nothing but its own pairs says how noisy each is.
const HIDDEN_OF_FEW_PCT: f64 = 5.0;

/// The comparison. `apart` are the cases that only the base has, and those that only the candidate
/// has.
pub fn of(
    gate: &Gate,
    found: &Found,
    floor: Option<&NoiseFloor>,
    apart: (Vec<String>, Vec<String>),
) -> Comparison {
    let request = gate.request;
    let mut rows: Vec<Row> =
        (0..gate.ids.len()).map(|case| row(gate, found, floor, case)).collect();
    if let Some(screen) = &found.screen {
        let p: Vec<f64> =
            screen.cases.iter().map(|case| case.map_or(1.0, |case| case.p_slower)).collect();
        for (row, q) in rows.iter_mut().zip(false_discovery(&p)) {
            row.q_value = row.p_value.is_some().then_some(q);
        }
    }
    let lost =
        |id: &String| Row { fails: !request.allow_missing, ..Row::new(id, Verdict::OnlyInBase) };
    rows.extend(apart.0.iter().map(lost));
    rows.extend(apart.1.iter().map(|id| Row::new(id, Verdict::OnlyInCand)));

    let mismatches = given(gate);
    let differs = |Mismatch { what, base, cand }: &Mismatch| {
        format!("{what}: {base} in the base, {cand} in the candidate")
    };
    let pytorch = mismatches.iter().filter(|mismatch| mismatch.what == PYTORCH);
    let mut notes: Vec<String> = pytorch.map(differs).collect();
    let mut trouble = trouble(gate);
    let (suite, is_clock) = suite(gate, found, &mut notes);
    let fails = suite.is_slower || rows.iter().any(|row| row.fails);
    let is_lost = |row: &Row| matches!(row.verdict, Verdict::NowFails | Verdict::OnlyInBase);
    let threshold_pct = request.rules.threshold.exp_m1() * 100.0;
    let is_few = gate.ids.len() < MIN_SUITE;
    let hidden_pct = if is_few { HIDDEN_OF_FEW_PCT } else { HIDDEN_PCT }.max(threshold_pct);
    if !fails && !rows.iter().any(|row| is_judged(row, floor, hidden_pct)) {
        trouble.push(
            "no case can be judged: their noise hides more than the threshold, or none has its \
             times; more --trials, more cases or a quieter machine can"
                .to_owned(),
        );
    }
    let outcome = match () {
        // Whatever the machine did to the times.
        () if rows.iter().any(|row| row.fails && is_lost(row)) => Outcome::Regressed,
        () if !trouble.is_empty() || is_clock => Outcome::Inconclusive,
        () if fails => Outcome::Regressed,
        () if found.screen.is_none() => Outcome::Inconclusive,
        () => Outcome::Passed,
    };
    notes.extend(trouble);
    notes.extend(remarks(gate, found, floor));
    let side = |name: &str, build: &Bench| Side {
        name: name.to_owned(),
        runs: vec![build.executable.path.display().to_string()],
        device: gate.records().next().map(|record| record.device_name.clone()),
    };
    let seen: Vec<f64> = rows.iter().filter_map(|row| row.mde_pct).collect();
    let cand = request.cand.as_ref().unwrap_or(&request.base);
    let prior = found.screen.as_ref().map(|screen| screen.prior);
    let comparison = Comparison {
        schema_version: SCHEMA_VERSION.to_owned(),
        kind: if request.cand.is_some() { Kind::Gate } else { Kind::NoiseFloor },
        outcome,
        base: side("base", &request.base),
        cand: side("candidate", cand),
        threshold_pct,
        suite,
        gate: Some(Measured {
            pairs: found.pairs,
            wall_s: gate.records().map(|record| record.wall_s).sum(),
            trials: request.trials,
            candidates: found.confirmed.len(),
            deviation_pct: prior.map(|prior| 100.0 * prior.variance.sqrt()),
            prior_freedom: prior.map(|prior| prior.freedom).filter(|freedom| freedom.is_finite()),
            mde_pct: median(&seen),
        }),
        counts: BTreeMap::new(),
        mismatches,
        notes,
        rows,
    };
    comparison.finished()
}

fn row(gate: &Gate, found: &Found, floor: Option<&NoiseFloor>, case: usize) -> Row {
    let id = &gate.ids[case];
    let screened = found.screen.as_ref().and_then(|screen| screen.cases[case].as_ref());
    let mut row = Row::new(id, Verdict::Same);
    let stage = match found.confirmed.iter().any(|(own, ..)| *own == case) {
        true => Stage::Confirm,
        false => Stage::Screen,
    };
    let times = |is_cand| {
        let each = gate.timed(stage, is_cand, id).map(|timed| timed.level_ms);
        Times::of(&each.collect::<Vec<_>>())
    };
    (row.base, row.cand) = (times(false), times(true));
    let last = |is_cand| gate.timed(Stage::Screen, is_cand, id).last();
    let kernels = |is_cand| last(is_cand).map_or(&[][..], |timed| &timed.kernels);
    row.kernel_change = KernelChange::between(kernels(false), kernels(true));
    if let Some([time, clock]) = gate.uncorrected(stage, id) {
        row.clock_ratio = Some(clock.exp());
        row.cycles_ratio = Some((time + clock).exp());
    }
    let errors = [false, true].map(|is_cand| gate.errors(is_cand, id));
    let more = errors[1].0.len().cmp(&errors[0].0.len());
    match (more, screened) {
        (Ordering::Greater, _) => (row.verdict, row.fails) = (Verdict::NowFails, true),
        (_, Some(screened)) => {
            judge(&mut row, gate, found, case, screened);
            let of_clock = found.elasticity * row.clock_ratio.map_or(0.0, f64::ln);
            by_itself(&mut row, found, gate.raw(stage, id).map(|raw| raw + of_clock));
        }
        _ => row.verdict = untimed(&errors),
    }
    for (side, (errors, all)) in ["base", "candidate"].into_iter().zip(&errors) {
        if let Some(error) = errors.first() {
            row.remarks.push(format!("{side}, {} of {all} processes: {error}", errors.len()));
        }
    }
    if screened.is_none() && errors.iter().all(|(errors, _)| errors.is_empty()) {
        row.remarks.push("the card was slowed down in some pairs".to_owned());
    }
    if let (Verdict::Regressed, Some(least_pct)) =
        (row.verdict, floor.and_then(|floor| floor.quarantine_pct(id)))
        && row.ratio.is_some_and(|ratio| (ratio - 1.0) * 100.0 < least_pct)
    {
        row.fails = false;
        row.remarks.push(format!(
            "in quarantine, as it was flagged falsely in A/A runs: fails from {least_pct:.1} % on"
        ));
    }
    row
}

/// Whether a slowdown that matters would have been seen in this case.
fn is_judged(row: &Row, floor: Option<&NoiseFloor>, most_pct: f64) -> bool {
    let raised_pct = floor.and_then(|floor| floor.quarantine_pct(&row.case_id)).unwrap_or(0.0);
    let hidden_pct = row.mde_pct.map(|seen_pct| seen_pct.max(raised_pct));
    match row.verdict {
        Verdict::Same => hidden_pct.is_some_and(|pct| pct <= most_pct),
        Verdict::Ambiguous | Verdict::OnlyInBase | Verdict::OnlyInCand => false,
        Verdict::NowFails | Verdict::NowRuns | Verdict::Regressed | Verdict::Improved => true,
    }
}

/// Undoes what comparing a case with the others makes of one that stayed what it was while they
/// moved; `raw` is `ln` of its time, candidate over base, whatever the others did.
fn by_itself(row: &mut Row, found: &Found, raw: Option<f64>) {
    let shift = found.shift.filter(|shift| shift.cause == Cause::Build).map(|shift| shift.shift);
    let (Some(raw), Some(beside)) = (raw, row.ratio.map(f64::ln)) else { return };
    let is_others = (raw - beside).abs() > beside.abs() / 2.0;
    let is_undone = match row.verdict {
        Verdict::Improved => is_others && raw > beside,
        Verdict::Regressed => is_others && raw < beside && shift.is_some_and(|shift| shift < 0.0),
        _ => false,
    };
    if is_undone {
        (row.verdict, row.fails) = (Verdict::Same, false);
        row.remarks.push("the other cases moved, and this one did not".to_owned());
    }
    let Some(shift) = shift else { return };
    // Fresh pairs say that the suite moved: each case is told with what it did together with it.
    row.ratio = Some(raw.exp());
    row.ci95 = row.ci95.map(|ends| ends.map(|end| end * (raw - beside).exp()));
    let is_slower = shift > 0.0 && row.ci95.is_some_and(|[low, _]| low > 1.0);
    if is_slower && raw >= shift / 2.0 && !is_undone {
        (row.verdict, row.fails) = (Verdict::Regressed, true);
    }
}

fn judge(row: &mut Row, gate: &Gate, found: &Found, case: usize, screened: &Screened) {
    let rules = &gate.request.rules;
    let prior = found.screen.as_ref().map_or(f64::INFINITY, |screen| screen.prior.freedom);
    let pairs = rules.screen_pairs as f64;
    let half = t95(prior + pairs - 1.0) * screened.deviation / pairs.sqrt();
    let interval = [screened.difference - half, screened.difference + half];
    row.ratio = Some(screened.difference.exp());
    row.ci95 = Some(interval.map(f64::exp));
    row.p_value = Some(screened.p_slower);
    row.pairs = Some(rules.screen_pairs);
    row.mde_pct = Some(100.0 * mde(screened.deviation, 2 * rules.confirm_pairs, gate.ids.len()));
    if let Some((_, direction, confirmed)) = found.confirmed.iter().find(|(own, ..)| *own == case) {
        row.ratio = Some(confirmed.mean.mean.exp());
        row.ci95 = Some(confirmed.mean.interval95().map(f64::exp));
        row.p_value = Some(confirmed.p);
        row.pairs = Some(confirmed.pairs);
        row.verdict = match (direction, confirmed.is_real) {
            (Direction::Slower, true) => Verdict::Regressed,
            (Direction::Slower, false) => Verdict::Ambiguous,
            (Direction::Faster, true) => Verdict::Improved,
            (Direction::Faster, false) => Verdict::Same,
        };
        row.fails = row.verdict == Verdict::Regressed;
    } else if found.beyond.contains(&case) && screened.difference > 0.0 {
        row.verdict = Verdict::Ambiguous;
        row.remarks.push("beyond the flagged cases that fresh pairs looked into".to_owned());
    } else if found.untimed.contains(&case) {
        row.verdict = Verdict::Ambiguous;
        row.remarks.push("flagged, and without enough times in fresh pairs".to_owned());
    }
}

/// Of a case that was not timed in every pair, nor failed more often in the candidate.
fn untimed([(base, all), (cand, _)]: &[(Vec<&str>, usize); 2]) -> Verdict {
    match (base.len(), cand.len()) {
        (failed, 0) if failed == *all => Verdict::NowRuns,
        (a, b) if a == *all && b == a => Verdict::Same,
        _ => Verdict::Ambiguous,
    }
}

fn trouble(gate: &Gate) -> Vec<String> {
    let mut trouble = Vec::new();
    for (what, expected) in gate.records().next().iter().flat_map(|first| &first.conditions) {
        let mut values = gate.records().filter_map(|record| record.conditions.get(what));
        trouble.extend(values.find(|value| *value != expected).map(|other| {
            format!("{what} is not the same in all processes: {expected} and {other}")
        }));
    }
    let [base, cand] = pytorch(gate);
    for (side, versions) in [("base", &base), ("candidate", &cand)] {
        if versions.len() > 1 {
            let versions = list(versions);
            trouble.push(format!(
                "PyTorch is not the same in all processes of the {side}: {versions}"
            ));
        }
    }
    let is_asked_for = given_variables(gate).iter().any(|set| set.contains("NIGHT_SWEEP_TORCH="));
    if base != cand && !is_asked_for {
        let (base, cand) = (list(&base), list(&cand));
        trouble.push(format!("PyTorch is not the same on both sides: {base} and {cand}"));
    }
    let is_throttled = |id: &str| {
        let mut sides =
            [false, true].into_iter().flat_map(|is_cand| gate.timed(Stage::Screen, is_cand, id));
        sides.any(|timed| timed.is_throttled)
    };
    let throttled = gate.ids.iter().filter(|id| is_throttled(id)).count();
    if throttled as f64 > (1.0 - CLEAN) * gate.ids.len() as f64 {
        trouble.push(format!(
            "the card was slowed down, by heat or its hardware, in {throttled} of {} cases",
            gate.ids.len()
        ));
    }
    trouble
}

fn suite(gate: &Gate, found: &Found, notes: &mut Vec<String>) -> (Suite, bool) {
    let Some(screen) = &found.screen else { return (Suite::default(), false) };
    let timed = screen.cases.iter().flatten().count();
    let ratio = (timed >= MIN_SUITE).then(|| screen.shift.exp());
    let mut suite = Suite { ratio, clock_elasticity: found.elasticity, ..Suite::default() };
    let Some(shift) = &found.shift else { return (suite, false) };
    suite.ratio = Some(shift.shift.exp());
    suite.p_value = Some(shift.p);
    suite.clock_ratio = shift.clock.map(f64::exp);
    suite.is_slower = shift.cause == Cause::Build && shift.shift > 0.0;
    let percent = shift.shift.exp_m1() * 100.0;
    notes.push(match shift.cause {
        Cause::Chance => format!(
            "the suite as a whole seemed to move in the screen; {} fresh pairs do not say so \
             ({percent:+.1} %)",
            gate.request.rules.shift_pairs
        ),
        Cause::Clock => format!(
            "the suite as a whole moved by {percent:+.1} %, and so did the SM clock: nothing can \
             be said of the builds"
        ),
        Cause::Build => {
            format!("the suite as a whole moved by {percent:+.1} %, in fresh pairs too")
        }
    });
    (suite, shift.cause == Cause::Clock)
}

fn remarks(gate: &Gate, found: &Found, floor: Option<&NoiseFloor>) -> Vec<String> {
    let request = gate.request;
    let mut notes = Vec::new();
    if found.screen.is_none() {
        notes.push("no case had a time in every pair".to_owned());
    }
    if !found.beyond.is_empty() {
        notes.push(format!(
            "{} flagged cases more than the {} that fresh pairs look into",
            found.beyond.len(),
            request.rules.max_flagged
        ));
    }
    if request.cand.is_none() {
        return notes;
    }
    let Some(floor) = floor else {
        notes.push(format!(
            "the noise floor of this machine is not known: `night-sweep gate --aa --base ... \
             --bench {}` finds it",
            request.bench
        ));
        return notes;
    };
    let quarantined = gate.ids.iter().filter(|id| floor.quarantine_pct(id).is_some()).count();
    if quarantined > 0 {
        notes.push(format!("{quarantined} of {} cases are in quarantine", gate.ids.len()));
    }
    let threshold = request.rules.threshold.exp_m1() * 100.0;
    let noisy = floor.cases.values().filter(|case| case.mde_pct > threshold).count();
    if noisy > 0 {
        let all = floor.cases.len();
        notes.push(format!(
            "{noisy} of {all} cases have a minimum detectable effect above {threshold:.1} % here"
        ));
    }
    notes
}

/// The versions of PyTorch in the processes of each side: one, unless something changed meanwhile.
fn pytorch<'a>(gate: &'a Gate) -> [BTreeSet<&'a str>; 2] {
    let base = gate.pairs.values().map(|pair| &*pair.base.pytorch).collect();
    [base, gate.pairs.values().map(|pair| &*pair.cand.pytorch).collect()]
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(" and ")
}

/// The variables of the base, and of the candidate.
fn given_variables(gate: &Gate) -> [String; 2] {
    let base = variables(&gate.request.base);
    let cand = gate.request.cand.as_ref().map_or_else(|| base.clone(), variables);
    [base, cand]
}

fn given(gate: &Gate) -> Vec<Mismatch> {
    let variables = ("variables", given_variables(gate));
    let pytorch = (PYTORCH, pytorch(gate).map(|versions| list(&versions)));
    let differs = |(what, [base, cand]): (&str, [String; 2])| {
        (base != cand).then(|| Mismatch { what: what.to_owned(), base, cand })
    };
    [variables, pytorch].into_iter().filter_map(differs).collect()
}
