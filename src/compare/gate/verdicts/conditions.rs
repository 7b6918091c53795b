//! What the processes of a gate were run with, and what of that forbids an answer.

use crate::compare::comparison::Mismatch;
use crate::compare::gate::measuring::Gate;
use crate::compare::gate::request::variables;
use crate::compare::pair2::Stage;
use std::collections::BTreeSet;

pub const PYTORCH: &str = "PyTorch";

/// So many cases have to have a time to be trusted in every pair of the screen.
const CLEAN: f64 = 0.95;

pub fn trouble(gate: &Gate) -> Vec<String> {
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

pub fn given(gate: &Gate) -> Vec<Mismatch> {
    let variables = ("variables", given_variables(gate));
    let pytorch = (PYTORCH, pytorch(gate).map(|versions| list(&versions)));
    let differs = |(what, [base, cand]): (&str, [String; 2])| {
        (base != cand).then(|| Mismatch { what: what.to_owned(), base, cand })
    };
    [variables, pytorch].into_iter().filter_map(differs).collect()
}
