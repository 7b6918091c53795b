//! What splitting a GEMM costs, and which way to compute the parts costs least.

use crate::results::compared;
use crate::results::raw::Raw;
use crate::results::summary::{Heterogeneity, Summary};
use crate::results::view::{Layout, View};
use crate::units::ratio;

pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    let Layout::Bars(bars) = view.layout else { return };
    let compared = compared::of(raw, bars).into_values();
    summary.heterogeneity = compared
        .map(|found| Heterogeneity {
            pattern: bars.name_of(&found.row.point),
            penalty: found.ratio,
            variants: found
                .variants
                .into_iter()
                .map(|(name, cost)| (name.to_owned(), cost))
                .collect(),
        })
        .collect();
    summary.findings.extend(sentences(&summary.heterogeneity));
}

fn sentences(patterns: &[Heterogeneity]) -> Vec<String> {
    let mut patterns: Vec<&Heterogeneity> = patterns.iter().collect();
    patterns.sort_by(|a, b| b.penalty.total_cmp(&a.penalty));
    patterns
        .iter()
        .map(|p| {
            // Sums of separately timed parts are no way to run the pattern.
            let best = p.variants.iter().filter(|(name, _)| *name != "sum_of_parts");
            let best = best.min_by(|a, b| a.1.total_cmp(b.1)).map_or_else(
                String::new,
                |(name, penalty)| {
                    format!("; best otherwise: {}, {}", name.replace('_', " "), ratio(*penalty))
                },
            );
            let (pattern, penalty) = (&p.pattern, ratio(p.penalty));
            format!("{pattern}: {penalty} the time of uniform per useful operation{best}.")
        })
        .collect()
}
