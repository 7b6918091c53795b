//! From what a gate found out to its verdicts.

mod conditions;
mod notes;
mod row;

use super::measuring::Gate;
use super::noise_floor::NoiseFloor;
use crate::compare::comparison::{
    Comparison, Kind, Measured, Mismatch, Outcome, Row, Side, Verdict,
};
use crate::compare::pair2::{Found, MIN_SUITE};
use crate::journal::record::SCHEMA_VERSION;
use crate::process::child::Bench;
use crate::stats::median;
use crate::stats::student::false_discovery;
use conditions::{PYTORCH, given, trouble};
use notes::{remarks, suite};
use row::row;
use std::collections::BTreeMap;

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
