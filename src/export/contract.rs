//! The hardware contract of each axis, in the form that the authors of the suite's paper read: the
//! keys of `HardwareContract` in their GAC repository, and what was measured behind them.

use super::curves::{Curve, Problem, curves};
use super::source::Source;
use crate::results::curve::cliff::{self, Cliffs};
use crate::results::curve::tier::{self, Tier};
use crate::results::curve::{self, NOTABLE_RATIO};
use anyhow::{Result, ensure};
use serde::Serialize;

#[derive(Serialize)]
pub struct Entry {
    #[serde(flatten)]
    problem: Problem,
    curve: String,
    measured_dims: [usize; 2],
    minimal_alignment: Option<usize>,
    preferred_alignment: Option<usize>,
    recommended_values: Vec<usize>,
    cliff_values: Vec<usize>,
    cliffs: Vec<Cliff>,
}

#[derive(Serialize)]
struct Cliff {
    dim: usize,
    pad_to: usize,
    /// Time at `dim` over that at `pad_to`.
    ratio: f64,
    /// It is at least this, at 99 % for all dimensions of the curve at once.
    ratio_lower: f64,
}

pub fn of(sources: &[Source]) -> Result<Vec<Entry>> {
    let entries: Vec<Entry> = curves(sources).into_iter().filter_map(entry).collect();
    ensure!(
        !entries.is_empty(),
        "these runs sweep no dimension that there could be a contract for: take runs of S1, S2, \
         C21, D1, G3, G4, G5, P1 or L1"
    );
    Ok(entries)
}

fn entry(curve: Curve) -> Option<Entry> {
    let dims: Vec<usize> = curve.rows.keys().copied().collect();
    let measured_dims = [*dims.first()?, *dims.last()?];
    let rows: Vec<_> = curve.rows.into_values().collect();
    let times = curve::Curve::of(&rows);
    let found = cliff::find(&times);
    let minimal_alignment = minimal_alignment(&tier::find(&times));
    let preferred_alignment = minimal_alignment.and_then(|from| preferred(&dims, &found, from));
    let alignment = preferred_alignment.or(minimal_alignment);
    Some(Entry {
        problem: curve.problem,
        curve: curve.name.to_owned(),
        measured_dims,
        minimal_alignment,
        preferred_alignment,
        recommended_values: alignment.map_or_else(Vec::new, |by| recommended(&dims, &found, by)),
        cliff_values: found.cliffs.iter().map(|cliff| cliff.dim).collect(),
        cliffs: found.cliffs.iter().map(of_cliff).collect(),
    })
}

fn of_cliff(cliff: &cliff::Cliff) -> Cliff {
    let &cliff::Cliff { dim, pad_to, ratio, ratio_lower, .. } = cliff;
    Cliff { dim, pad_to, ratio, ratio_lower }
}

/// The least of 1, 2, 4, 8 and 16 from which on each class of dimensions takes no more than 5 %
/// longer, in the median, than the next multiples of 16. None where those were not measured.
fn minimal_alignment(tiers: &[Tier]) -> Option<usize> {
    let is_good = |tier: &&Tier| tier.multiplier <= NOTABLE_RATIO;
    let of = |alignment| tiers.iter().find(|tier| tier.class == tier::Class::of(alignment));
    let good = [16, 8, 4, 2, 1].into_iter().take_while(|&by| of(by).filter(is_good).is_some());
    good.last()
}

/// The least power of two whose measured multiples hold no cliff, where one can be told.
fn preferred(dims: &[usize], found: &Cliffs, from: usize) -> Option<usize> {
    let is_cliff = |dim: usize| found.cliffs.iter().any(|cliff| cliff.dim == dim);
    let multiples = |by: usize| dims.iter().filter(move |dim| dim.is_multiple_of(by));
    let is_judged = |by| multiples(by).any(|dim| !found.unclassified.contains(dim));
    let powers = std::iter::successors(Some(from), |by| Some(2 * by));
    powers.take_while(|&by| is_judged(by)).find(|&by| !multiples(by).any(|&dim| is_cliff(dim)))
}

/// Multiples that are no cliff, nor may be one. The last dimension of a sweep has nothing to be
/// compared with: it counts where it is what others are padded to.
fn recommended(dims: &[usize], found: &Cliffs, by: usize) -> Vec<usize> {
    let is_good = |dim: &usize| {
        let is_cliff = found.cliffs.iter().any(|cliff| cliff.dim == *dim);
        let is_target = found.cliffs.iter().any(|cliff| cliff.pad_to == *dim);
        let is_open = found.suggestive.contains(dim);
        !is_cliff && !is_open && (is_target || !found.unclassified.contains(dim))
    };
    dims.iter().copied().filter(|dim| dim.is_multiple_of(by) && is_good(dim)).collect()
}
