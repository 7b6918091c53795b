//! Which cases deserve another trial, where the protocol is adaptive: those of which it is not
//! known whether they are a cliff, with what they would be padded to, and those whose median is not
//! known well enough, but could be with the trials that they may have. A trial more says more than
//! any number of samples: those of one trial agree with each other.

use super::state::State;
use crate::measure::record::Trial;
use crate::results::curve::{Curve, Point, cliff};
use crate::results::intervals::is_imprecise;
use crate::stats::median;
use crate::stats::repeat::{intervals95, intervals95_with};
use std::collections::{HashMap, HashSet};

/// The cases of which trial `number` may decide something, by their trials before it.
pub fn open(run: &State, number: usize) -> HashSet<usize> {
    let medians = |index: usize| -> Vec<f64> {
        let before = run.trials(index).iter().filter(|trial| trial.trial < number);
        before.filter_map(|trial: &Trial| median(&trial.samples_ms)).collect()
    };
    let cases = run.header.cases.iter().enumerate();
    let rows: Vec<(usize, Vec<f64>)> = cases
        .filter(|(index, case)| case.variant.is_none() && !run.has_failed(*index))
        .map(|(index, _)| (index, medians(index)))
        .collect();
    let trials: Vec<&[f64]> = rows.iter().map(|(_, medians_ms)| &**medians_ms).collect();
    let is_host = run.header.device == "cpu";
    let now = intervals95(&trials, is_host);
    let most = run.header.protocol.most_trials();
    let then = intervals95_with(&trials, Some(most), is_host);
    let can_be_known = now
        .into_iter()
        .zip(then)
        .map(|(now, then)| is_imprecise(now, is_host) && !is_imprecise(then, is_host));
    let known = rows.iter().zip(can_be_known).filter(|(_, can_be_known)| *can_be_known);
    let mut open: HashSet<usize> = known.map(|((index, _), _)| *index).collect();

    let mut curves: HashMap<(&str, &str), Vec<(usize, Point)>> = HashMap::new();
    for (index, medians_ms) in rows {
        let case = &run.header.cases[index];
        let work = case.operation.flops();
        let point = Point { dim: case.dim, medians_ms, work, kernels: Vec::new() };
        curves.entry((case.series(), &case.curve)).or_default().push((index, point));
    }
    for curve in curves.into_values() {
        let at: HashMap<usize, usize> =
            curve.iter().map(|(index, point)| (point.dim, *index)).collect();
        let points = curve.into_iter().map(|(_, point)| point).collect();
        let undecided = cliff::open(&Curve::of_trials(points));
        open.extend(undecided.iter().flatten().filter_map(|dim| at.get(dim)));
    }
    open
}
