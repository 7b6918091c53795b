//! The verdict on a case.

use crate::compare::comparison::{Row, Times, Verdict};
use crate::compare::gate::measuring::Gate;
use crate::compare::gate::noise_floor::NoiseFloor;
use crate::compare::pair2::floor::mde;
use crate::compare::pair2::screen::{Direction, Screened};
use crate::compare::pair2::shift::Cause;
use crate::compare::pair2::{Found, Stage};
use crate::results::curve::kernel::KernelChange;
use crate::stats::student::t95;
use std::cmp::Ordering;

pub fn row(gate: &Gate, found: &Found, floor: Option<&NoiseFloor>, case: usize) -> Row {
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
