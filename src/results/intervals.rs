//! How sure the medians of a run are, and what an adaptive one left undecided.

use super::curve::{Curve, cliff};
use super::raw::{Measured, Raw, Row};
use crate::measure::record::ProtocolKind;
use crate::stats::repeat::intervals95;
use std::collections::HashSet;

/// Half an interval, as a share of its median, above which that is not known well enough: of a
/// card, and of a host, where no number of trials would reach that.
const PRECISION: f64 = 0.01;
const PRECISION_ON_HOST: f64 = 0.1;

pub fn is_imprecise([_, high]: [f64; 2], is_host: bool) -> bool {
    high - 1.0 > if is_host { PRECISION_ON_HOST } else { PRECISION }
}

/// Gives each row the interval in which the median of another run on this device lies. Trials of
/// all rows say how trials scatter, so it takes them all. An adaptive row says what is open.
pub fn add(raw: &mut Raw) {
    let is_host = raw.metadata.device == "cpu";
    let is_adaptive = raw.metadata.protocol.kind == ProtocolKind::Adaptive;
    let undecided = if is_adaptive { undecided(raw) } else { HashSet::new() };
    let mut rows: Vec<&mut Measured> =
        raw.measurements.iter_mut().filter_map(Row::measured_mut).collect();
    let trials: Vec<&[f64]> = rows.iter().map(|row| &*row.trial_p50).collect();
    let factors = intervals95(&trials, is_host);
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
fn undecided(raw: &Raw) -> HashSet<String> {
    let of_curve = |rows: Vec<&Row>| -> Vec<String> {
        let rows: Vec<&Measured> = rows.into_iter().filter_map(Row::measured).collect();
        let open = cliff::open(&Curve::of(&rows));
        let is_open = |row: &&Measured| open.iter().any(|[dim, _]| *dim == row.point.dim);
        rows.into_iter().filter(is_open).map(|row| row.point.case_id.clone()).collect()
    };
    raw.curves().into_iter().flat_map(|(_, rows)| of_curve(rows)).collect()
}
