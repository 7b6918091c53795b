//! What to know of the two sides beside the verdicts.

use super::judge::LEAST_CHANGE;
use crate::compare::comparison::{Mismatch, Suite};
use crate::compare::side::Stored;
use std::collections::BTreeMap;

/// A stored baseline should be of so many runs.
const RUNS: usize = 5;

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

pub fn mismatches(
    base: &BTreeMap<String, String>,
    cand: &BTreeMap<String, String>,
) -> Vec<Mismatch> {
    let differ = |(what, base): (&String, &String)| {
        let cand = cand.get(what).filter(|cand| *cand != base)?;
        Some(Mismatch { what: what.clone(), base: base.clone(), cand: cand.clone() })
    };
    base.iter().filter_map(differ).collect()
}

pub fn notes(
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
