//! What every format says in the same words.

use crate::compare::comparison::{Comparison, Kind, Outcome, Row, Times};
use crate::results::curve::kernel::KernelChange;
use crate::units::time;

pub fn title(comparison: &Comparison) -> String {
    let Comparison { base, cand, .. } = comparison;
    let what = match comparison.kind {
        Kind::Stored => format!("Stored runs: {} against {}", cand.name, base.name),
        Kind::Gate => "Gate: candidate against base".to_owned(),
        Kind::NoiseFloor => "Noise floor: the base against itself".to_owned(),
    };
    let device = base.device.as_ref().map(|device| format!(" on {device}"));
    what + &device.unwrap_or_default()
}

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
        answer += &format!(" Median minimum detectable effect: {seen:.1} %.");
    }
    answer
}

/// `+4.0 %`, as a change of time.
fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// `+3.1 to +4.9 %`.
fn interval([low, high]: [f64; 2]) -> String {
    format!("{:+.1} to {:+.1} %", (low - 1.0) * 100.0, (high - 1.0) * 100.0)
}

pub fn cells(row: &Row, absent: &str) -> [String; 6] {
    let absent = || absent.to_owned();
    let of = |times: Option<Times>| times.map_or_else(absent, |times| time(times.p50_ms));
    [
        row.case_id.clone(),
        of(row.base),
        of(row.cand),
        row.ratio.map_or_else(absent, change),
        row.ci95.map_or_else(absent, interval),
        row.verdict.to_string(),
    ]
}

/// A row in words: change, interval, reasons.
pub fn said(row: &Row, in_brackets: bool) -> Vec<String> {
    let interval = row.ci95.map(interval);
    let interval = interval.map(|text| if in_brackets { format!("({text})") } else { text });
    let numbers = row.ratio.map(change).into_iter().chain(interval);
    numbers.chain(reasons(row)).collect()
}

pub fn reasons(row: &Row) -> Vec<String> {
    // That they differ is no proof that they are why.
    let kernels = row.kernel_change.iter();
    let kernels = kernels.map(|change| format!("kernels that differ: {}", sentence(change)));
    kernels.chain(row.remarks.iter().cloned()).collect()
}

/// `2 REGRESSED, 1 ONLY_IN_BASE, 80 SAME`.
pub fn counts(comparison: &Comparison) -> String {
    let each = comparison.counts.iter().map(|(verdict, count)| format!("{count} {verdict}"));
    each.collect::<Vec<_>>().join(", ")
}

/// A name longer than this is cut in its middle: kernels say what they are at both ends.
const LONGEST: usize = 48;

/// `nvjet_sm90_hsh…coopA_NNT became cutlass_80_wmma…align1`.
fn sentence(change: &KernelChange) -> String {
    let only = |own: &[String], other: &[String]| {
        let mut names: Vec<String> =
            own.iter().filter(|name| !other.contains(name)).map(|name| short(name)).collect();
        names.dedup();
        names.join(" + ")
    };
    match (only(&change.from, &change.to), only(&change.to, &change.from)) {
        (gone, new) if gone.is_empty() && new.is_empty() => {
            "the same kernels ran in another order, or another number of times".to_owned()
        }
        (gone, new) if gone.is_empty() => format!("{new} runs as well"),
        (gone, new) if new.is_empty() => format!("{gone} runs no longer"),
        (gone, new) => format!("{gone} became {new}"),
    }
}

fn short(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= LONGEST {
        return name.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    let (head, tail) = (&characters[..half], &characters[characters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_change_is_told_in_the_kernels_that_differ() {
        for (from, to, says) in [
            ("nvjet_x", "cutlass_align1", "nvjet_x became cutlass_align1"),
            ("a b", "a b c", "c runs as well"),
            ("a b c", "a b", "c runs no longer"),
            ("a b", "b a", "the same kernels ran in another order, or another number of times"),
        ] {
            assert_eq!(sentence(&KernelChange::between(&names(from), &names(to)).unwrap()), says);
        }
        assert_eq!(KernelChange::between(&names("a"), &names("a")), None);
        assert_eq!(KernelChange::between(&names(""), &names("a")), None, "not known");
        let long = "x".repeat(100) + "_align1";
        assert!(short(&long).ends_with("_align1") && short(&long).chars().count() < 50);
    }
}
