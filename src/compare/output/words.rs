//! What every format says in the same words.

use crate::compare::comparison::{Comparison, Kind, Outcome, Row};
use crate::compare::kernels;

/// What was compared, in a few words.
pub fn title(comparison: &Comparison) -> String {
    let what = match comparison.kind {
        Kind::Stored => "Stored runs",
        Kind::Gate => "Gate",
        Kind::NoiseFloor => "Noise floor",
    };
    let device = comparison.base.device.as_ref().map(|device| format!(" on {device}"));
    let names = match comparison.kind {
        Kind::Stored => format!("{} against {}", comparison.cand.name, comparison.base.name),
        Kind::Gate => "candidate against base".to_owned(),
        Kind::NoiseFloor => "the base against itself".to_owned(),
    };
    format!("{what}: {names}{}", device.unwrap_or_default())
}

/// The answer, in a sentence.
pub fn answer(comparison: &Comparison) -> String {
    let failing = comparison.failing().count();
    let cases = comparison.rows.len();
    let threshold = comparison.threshold_pct;
    let mut answer = match comparison.outcome {
        Outcome::Inconclusive => "No answer: see the notes.".to_owned(),
        Outcome::Passed => {
            format!("Passed: none of {cases} cases got slower by {threshold:.1} % or more.")
        }
        Outcome::Regressed if failing == 0 => {
            "Regressed: the suite as a whole got slower.".to_owned()
        }
        Outcome::Regressed => format!("Regressed: {failing} of {cases} cases."),
    };
    let seen = comparison.gate.and_then(|gate| gate.mde_pct);
    if let (Kind::NoiseFloor, Some(seen)) = (comparison.kind, seen) {
        answer.push_str(&format!(" Median minimum detectable effect: {seen:.1} %."));
    }
    answer
}

/// `+4.0 %`, as a change of time.
pub fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// `+3.1 to +4.9 %`.
pub fn interval([low, high]: [f64; 2]) -> String {
    format!("{:+.1} to {:+.1} %", (low - 1.0) * 100.0, (high - 1.0) * 100.0)
}

/// What is to be said of a row beside its numbers.
pub fn reasons(row: &Row) -> Vec<String> {
    // That they differ is no proof that they are why.
    let kernels = row.kernel_change.as_ref();
    let kernels =
        kernels.map(|change| format!("kernels that differ: {}", kernels::sentence(change)));
    kernels.into_iter().chain(row.remarks.iter().cloned()).collect()
}

/// `2 REGRESSED, 1 ONLY_IN_BASE, 80 SAME`.
pub fn counts(comparison: &Comparison) -> String {
    let each =
        comparison.counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.name()));
    each.collect::<Vec<_>>().join(", ")
}
