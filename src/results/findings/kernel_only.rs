//! What padding within the launch costs, by the kernel alone beside the whole.

use crate::results::raw::{Raw, Variant};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::stats::median;
use crate::units::percent;

pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    let dim = view.dim;
    for ((_, curve), rows) in raw.curves() {
        let shares: Vec<f64> = rows
            .iter()
            .filter_map(|row| row.measured())
            .filter_map(|row| match row.variants.get("kernel_only") {
                Some(Variant::Measured { timing, .. }) => Some(timing.p50 / row.timing.p50),
                _ => None,
            })
            .collect();
        if let Some(share) = median(&shares) {
            let (share, count) = (percent(100.0 * share), shares.len());
            summary.findings.push(format!(
                "{curve}: where AUTO pads within the launch, the kernel alone takes {share} of \
                 the time \
                 (median of {count} {dim}s)."
            ));
        }
    }
}
