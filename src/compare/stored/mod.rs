//! Stored runs against each other. Repeating a case on one day does not average out the day-to-day
//! variance, so only changes from 5 % up fail the comparison; smaller ones are reported.

mod judge;
mod notes;
mod rows;

#[cfg(test)]
mod tests;

use super::comparison::{Comparison, Kind, Outcome, Verdict};
use super::equal_clocks::{Clocks, uncorrected};
use super::host::{self, Doubt};
use super::ratio::ratios;
use super::side::{Case, Stored};
use crate::journal::record::SCHEMA_VERSION;
use crate::stats::student::false_discovery;
use anyhow::{Result, bail, ensure};
use judge::{judge, suite};
use notes::{mismatches, notes};
use rows::{doubts, pair};
use std::collections::BTreeMap;

/// Changes below this fail no comparison of stored runs.
pub const LEAST_THRESHOLD: f64 = 0.05;

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
    let (timed, mut rows) = pair(base, cand, allowed.missing)?;
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
