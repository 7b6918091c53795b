//! What a decode step reaches of the memory's bandwidth, and what a padded cache buys back.

use crate::results::raw::{Measured, Raw, Row};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::stats::median;
use crate::units::{percent, ratio};

pub const PADDED_CACHE: &str = "padded_cache";
const ALIGNMENT: usize = 8;

/// For each curve: shares of the measured copy bandwidth at aligned dimensions and at others, where
/// the device has a peak; and the time of a padded cache over that of the cache as it is.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    for ((_, curve), rows) in raw.curves() {
        let measured: Vec<&Measured> = rows.iter().filter_map(|row| row.measured()).collect();
        summary.findings.extend(bandwidth(curve, &measured, view.dim));
        summary.findings.extend(padded(curve, &rows, view.dim));
    }
}

fn bandwidth(curve: &str, rows: &[&Measured], dim: &str) -> Option<String> {
    let share = |is_aligned: bool| {
        let rows = rows.iter().filter(|row| (row.point.dim % ALIGNMENT == 0) == is_aligned);
        let shares: Vec<f64> =
            rows.filter_map(|row| Some(100.0 * row.derived.of_peak?.bandwidth)).collect();
        median(&shares).map(percent)
    };
    let words = match (share(true), share(false)) {
        (Some(aligned), Some(others)) => {
            format!("{aligned} at multiples of {ALIGNMENT}, and {others} at other {dim}s")
        }
        (Some(aligned), None) => format!("{aligned} at multiples of {ALIGNMENT}"),
        (None, Some(others)) => format!("{others} at {dim}s that are no multiples of {ALIGNMENT}"),
        (None, None) => return None,
    };
    Some(format!("{curve}: {words}, of the measured copy bandwidth (medians)."))
}

fn padded(curve: &str, rows: &[&Row], dim: &str) -> Option<String> {
    let pairs: Vec<(usize, f64)> = rows
        .iter()
        .filter_map(|row| {
            let padded = row.variants().get(PADDED_CACHE)?.p50().ok()?;
            Some((row.point().dim, row.p50().ok()? / padded))
        })
        .collect();
    let ratios: Vec<f64> = pairs.iter().map(|(_, ratio)| *ratio).collect();
    let (at, most) = pairs.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (most, middle) = (ratio(*most), ratio(median(&ratios)?));
    let all = match ratios.len() {
        1 => String::new(),
        n => format!(", and {middle} in the median of {n} {dim}s"),
    };
    Some(format!(
        "{curve}: a cache kept at the next multiple of {ALIGNMENT} is {most} as fast at {dim} \
         {at}{all}."
    ))
}
