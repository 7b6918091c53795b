//! How sure the medians of a run are, and what an adaptive one left undecided.

use super::curve::{Curve, cliff};
use super::raw::{Measured, Row};
use std::collections::{BTreeMap, HashSet};

pub use crate::stats::repeat::{intervals95 as factors, intervals95_with as factors_with};

/// Half an interval, as a share of its median, above which that is not known well enough: of a
/// card, and of a host, where no number of trials would reach that.
const PRECISION: f64 = 0.01;
const PRECISION_ON_HOST: f64 = 0.1;

pub fn is_imprecise([_, high]: [f64; 2], is_host: bool) -> bool {
    high - 1.0 > if is_host { PRECISION_ON_HOST } else { PRECISION }
}

/// Gives each row the interval in which the median of another run on this device lies. Trials of
/// all rows say how trials scatter, so it takes them all. An adaptive row says what is open.
pub fn add(rows: &mut [Row], is_host: bool, is_adaptive: bool) {
    let undecided = if is_adaptive { undecided(rows) } else { HashSet::new() };
    let mut rows: Vec<&mut Measured> = rows.iter_mut().filter_map(Row::measured_mut).collect();
    let trials: Vec<&[f64]> = rows.iter().map(|row| &*row.trial_p50).collect();
    let factors = factors(&trials, is_host);
    for (row, factors) in rows.iter_mut().zip(factors) {
        row.ci95_p50 = Some(factors.map(|factor| factor * row.timing.p50));
        let flags = [
            ("imprecise", is_adaptive && is_imprecise(factors, is_host)),
            ("cliff_undecided", undecided.contains(&row.point.case_id)),
        ];
        let flags = flags.into_iter().filter(|(_, is_so)| *is_so);
        row.flags.extend(flags.map(|(flag, _)| flag.to_owned()));
    }
}

/// The rows of which it is not known whether they are a cliff.
fn undecided(rows: &[Row]) -> HashSet<String> {
    let mut curves: BTreeMap<(&str, &str), Vec<&Measured>> = BTreeMap::new();
    for row in rows.iter().filter_map(Row::measured) {
        curves.entry((&row.point.series, &row.point.curve)).or_default().push(row);
    }
    let of_curve = |rows: Vec<&Measured>| -> Vec<String> {
        let open = cliff::open(&Curve::of(&rows));
        let is_open = |row: &&Measured| open.iter().any(|[dim, _]| *dim == row.point.dim);
        rows.into_iter().filter(is_open).map(|row| row.point.case_id.clone()).collect()
    };
    curves.into_values().flat_map(of_curve).collect()
}
