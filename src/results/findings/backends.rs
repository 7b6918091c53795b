//! Each backend against the fastest at its dimension.

use crate::results::raw::{Raw, Row};
use crate::results::summary::{BackendRatio, Summary};
use crate::results::view::View;
use crate::units::{list, ratio};
use std::collections::{BTreeMap, BTreeSet};

const NOTABLE: f64 = 1.02;

/// Ratios of all backends; who is fastest where, what AUTO misses, who is slowest, and who is not
/// available.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    summary.backends = backends(raw);
    summary.findings.extend(sentences(raw, &summary.backends, view.dim));
}

fn backends(raw: &Raw) -> Vec<BackendRatio> {
    let mut fastest: BTreeMap<usize, f64> = BTreeMap::new();
    for row in raw.measured() {
        let best = fastest.entry(row.point.dim).or_insert(f64::INFINITY);
        *best = best.min(row.timing.p50);
    }
    let measured = raw.measurements.iter().filter_map(|row| Some((row.backend(), row.measured()?)));
    measured
        .map(|(backend, row)| BackendRatio {
            dim: row.point.dim,
            backend: backend.to_owned(),
            p50_ms: row.timing.p50,
            ratio: row.timing.p50 / fastest[&row.point.dim],
        })
        .collect()
}

/// Dimensions.
type ByBackend<'a> = BTreeMap<&'a str, Vec<usize>>;

fn places(dims: &ByBackend) -> String {
    let places = dims.iter().map(|(backend, dims)| format!("{backend} at {}", list(dims)));
    places.collect::<Vec<_>>().join("; ")
}

fn sentences(raw: &Raw, ratios: &[BackendRatio], dim: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let (auto, forced): (Vec<_>, Vec<_>) = ratios.iter().partition(|r| r.backend == "AUTO");
    let dims: BTreeSet<usize> = forced.iter().map(|r| r.dim).collect();
    let mut wins = ByBackend::new();
    for dim in dims {
        let here = forced.iter().filter(|r| r.dim == dim);
        if let Some(best) = here.min_by(|a, b| a.p50_ms.total_cmp(&b.p50_ms)) {
            wins.entry(&best.backend).or_default().push(dim);
        }
    }
    if !wins.is_empty() {
        sentences.push(format!("The fastest forced backend by {dim}: {}.", places(&wins)));
    }
    let worst = |of: &[&BackendRatio]| {
        of.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio)).map(|r| (*r).clone())
    };
    if let Some(worst) = worst(&auto) {
        sentences.push(if worst.ratio < NOTABLE {
            "AUTO is nowhere notably slower than the fastest backend.".to_owned()
        } else {
            format!(
                "AUTO takes up to {} as long as the fastest (at {}).",
                ratio(worst.ratio),
                worst.dim
            )
        });
    }
    if let Some(worst) = worst(&forced).filter(|worst| worst.ratio >= NOTABLE) {
        let BackendRatio { backend, dim, ratio: value, .. } = &worst;
        sentences.push(format!(
            "{backend} takes up to {} as long as the fastest (at {dim}).",
            ratio(*value)
        ));
    }
    let mut missing = ByBackend::new();
    for row in &raw.measurements {
        if matches!(row, Row::Failed(failed) if failed.backend_unsupported) {
            missing.entry(row.backend()).or_default().push(row.point().dim);
        }
    }
    if !missing.is_empty() {
        sentences.push(format!("Unsupported: {}.", places(&missing)));
    }
    sentences
}
