//! Which backend AUTO takes where.

use super::{backend, selected};
use crate::results::raw::{Raw, Row};
use crate::results::summary::curves;
use crate::units::list;
use indexmap::IndexMap;

/// As many dims are listed; of more it is said how many they are.
const LISTED: usize = 6;

/// A sentence per curve that AUTO was asked for.
pub fn sentences(raw: &Raw) -> Vec<String> {
    curves(raw).iter().filter_map(|((_, curve), rows)| sentence(curve, rows)).collect()
}

fn sentence(curve: &str, rows: &[&Row]) -> Option<String> {
    let mut taken: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for row in rows.iter().filter(|row| backend(row) == "AUTO" && row.measured().is_some()) {
        taken.entry(selected(row)).or_default().push(row.point().dim);
    }
    if let (1, Some((backend, dims))) = (taken.len(), taken.first()) {
        return Some(format!("{curve}: AUTO takes {backend} at all {} head_dims.", dims.len()));
    }
    taken.sort_by(|_, a, _, b| a.len().cmp(&b.len()));
    let last = taken.len().checked_sub(1)?;
    let parts: Vec<String> = taken
        .iter()
        .enumerate()
        .map(|(index, (backend, dims))| match dims.len() {
            count if index == last && count > LISTED => format!("{backend} at the other {count}"),
            count if count > LISTED => format!("{backend} at {count} head_dims"),
            _ => {
                let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
                format!("{backend} at {}", list(&dims))
            }
        })
        .collect();
    Some(format!("{curve}: AUTO takes {}.", parts.join("; ")))
}
