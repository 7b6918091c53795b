//! Which backend AUTO takes where.

use crate::results::raw::{Raw, Row};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::units::list;
use indexmap::IndexMap;

const LISTED: usize = 6;

pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    let curves = raw.curves();
    let sentences = curves.iter().filter_map(|((_, curve), rows)| sentence(curve, rows, view.dim));
    summary.findings.extend(sentences);
}

fn sentence(curve: &str, rows: &[&Row], dim: &str) -> Option<String> {
    let mut taken: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for row in rows.iter().filter(|row| row.backend() == "AUTO" && row.measured().is_some()) {
        taken.entry(row.backend_that_ran()).or_default().push(row.point().dim);
    }
    if let (1, Some((backend, dims))) = (taken.len(), taken.first()) {
        return Some(format!("{curve}: AUTO takes {backend} at all {} {dim}s.", dims.len()));
    }
    taken.sort_by(|_, a, _, b| a.len().cmp(&b.len()));
    let last = taken.len().checked_sub(1)?;
    let parts: Vec<String> = taken
        .iter()
        .enumerate()
        .map(|(index, (backend, dims))| match dims.len() {
            count if index == last && count > LISTED => format!("{backend} at the other {count}"),
            count if count > LISTED => format!("{backend} at {count} {dim}s"),
            _ => format!("{backend} at {}", list(dims)),
        })
        .collect();
    Some(format!("{curve}: AUTO takes {}.", parts.join("; ")))
}
