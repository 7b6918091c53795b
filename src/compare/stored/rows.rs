//! The cases of both sides, before any is judged.

use crate::compare::comparison::{Row, Verdict};
use crate::compare::side::{Case, Stored};
use crate::results::curve::kernel::KernelChange;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// A row with the case of the base and that of the candidate.
type Pair<'a> = (Row, &'a Case, &'a Case);

/// The cases that both sides have a time of, and the rows of all others.
pub fn pair<'a>(
    base: &'a Stored,
    cand: &'a Stored,
    is_missing_allowed: bool,
) -> Result<(Vec<Pair<'a>>, Vec<Row>)> {
    let ids: BTreeSet<&String> = base.cases.keys().chain(cand.cases.keys()).collect();
    let (mut timed, mut others) = (Vec::new(), Vec::new());
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
                row.fails |= is_lost && !is_missing_allowed;
                others.push(row);
            }
        }
    }
    ensure!(
        common > 0,
        "{} and {} have no case in common: are they of the same experiment?",
        base.side.name,
        cand.side.name
    );
    Ok((timed, others))
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
pub fn doubts(base: &Case, cand: &Case) -> Option<String> {
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
