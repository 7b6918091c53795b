//! What to know beside the verdicts: of the suite as a whole, and of this machine.

use crate::compare::comparison::Suite;
use crate::compare::gate::measuring::Gate;
use crate::compare::gate::noise_floor::NoiseFloor;
use crate::compare::pair2::shift::Cause;
use crate::compare::pair2::{Found, MIN_SUITE};

pub fn suite(gate: &Gate, found: &Found, notes: &mut Vec<String>) -> (Suite, bool) {
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

pub fn remarks(gate: &Gate, found: &Found, floor: Option<&NoiseFloor>) -> Vec<String> {
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
