//! Rows as bars, each against the base of its curve or of its run.

use super::raw::{Derived, Measured, Raw, Variant};
use super::view::Bars;
use crate::stats::Timing;
use indexmap::IndexMap;
use std::collections::BTreeMap;

pub struct Compared<'a> {
    pub row: &'a Measured,
    pub base: &'a Measured,
    pub ratio: f64,
    pub variants: BTreeMap<&'a str, f64>,
}

/// The rows that have a base and are not one, by the ids of their cases, in the order of the spec.
pub fn of<'a>(raw: &'a Raw, bars: &Bars) -> IndexMap<&'a str, Compared<'a>> {
    let scope = |row: &'a Measured| if bars.by_curve { &*row.point.curve } else { "" };
    let mut bases: BTreeMap<&str, &Measured> = BTreeMap::new();
    for row in raw.measured().filter(|row| (bars.is_base)(&row.point)) {
        bases.entry(scope(row)).or_insert(row);
    }
    let compared = |row: &'a Measured| {
        let base = *bases.get(scope(row))?;
        let ratio = |timing: &Timing, derived: &Derived| match bars.ratio.is_speedup {
            true => base.timing.p50 / timing.p50,
            false => base.derived.tflops_stats.p50 / derived.tflops_stats.p50,
        };
        let variants = row.variants.iter().filter_map(|(name, variant)| match variant {
            Variant::Measured { timing, derived, .. } => Some((&**name, ratio(timing, derived))),
            Variant::Failed { .. } => None,
        });
        let variants = variants.collect();
        let ratio = ratio(&row.timing, &row.derived);
        Some((&*row.point.case_id, Compared { row, base, ratio, variants }))
    };
    raw.measured().filter(|row| !(bars.is_base)(&row.point)).filter_map(compared).collect()
}
