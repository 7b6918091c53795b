//! What each experiment was made to find out, as numbers and as sentences.

mod kernel_only;
mod selection;
mod sweep;

use super::raw::{Measured, Raw, Row, Variant};
use super::summary::{BackendRatio, Heterogeneity, Padding, Summary, curves};
use crate::units::{list, percent, ratio};
use std::collections::{BTreeMap, BTreeSet};

/// A penalty or gain below this is not worth a sentence.
const NOTABLE: f64 = 1.02;

/// Fills in the findings of the run's experiment.
pub fn add(summary: &mut Summary, raw: &Raw) {
    match &*raw.metadata.group {
        "P1" => {
            summary.padding = padding(raw);
            summary.findings = padding_sentences(&summary.padding);
        }
        "S2" => {
            summary.backends = backends(raw);
            summary.findings = backend_sentences(raw, &summary.backends);
        }
        "HET1" => {
            summary.heterogeneity = heterogeneity(raw);
            summary.findings = heterogeneity_sentences(&summary.heterogeneity);
        }
        "S1" => {
            summary.findings = sweep::sentences(summary, dim_name(raw));
            summary.findings.extend(kernel_only::sentences(raw));
        }
        "C21" => {
            summary.findings = selection::sentences(raw);
            summary.findings.extend(sweep::sentences(summary, dim_name(raw)));
        }
        _ => summary.findings = sweep::sentences(summary, dim_name(raw)),
    }
}

/// What the swept dimension is called.
pub fn dim_name(raw: &Raw) -> &'static str {
    dim_name_of(&raw.metadata.group)
}

/// The same by the group of an experiment.
pub fn dim_name_of(group: &str) -> &'static str {
    match group {
        "S1" | "S2" | "C21" => "head_dim",
        "G3" => "K",
        "G4" => "N",
        _ => "dim",
    }
}

fn padding(raw: &Raw) -> Vec<Padding> {
    let mut padding = Vec::new();
    for ((_, curve), rows) in curves(raw) {
        let rows: Vec<&Measured> = rows
            .into_iter()
            .filter_map(|row| match row {
                Row::Measured(row) => Some(&**row),
                Row::Failed(_) => None,
            })
            .collect();
        let logical = |row: &Measured| row.point.number("logical_dim").map(|dim| dim as usize);
        let Some(base) = rows.iter().find(|row| logical(row) == Some(row.point.dim)) else {
            continue;
        };
        let padded = rows.iter().filter(|row| row.point.dim > base.point.dim);
        padding.extend(padded.map(|row| Padding {
            curve: curve.to_owned(),
            logical_dim: base.point.dim,
            physical_dim: row.point.dim,
            gain: base.timing.p50 / row.timing.p50,
            on_the_fly_gain: match row.variants.get("on_the_fly") {
                Some(Variant::Measured { timing, .. }) => Some(base.timing.p50 / timing.p50),
                _ => None,
            },
            memory_overhead_pct: row.point.number("memory_overhead_pct"),
        }));
    }
    padding
}

/// One sentence per curve, about its best padding.
fn padding_sentences(padding: &[Padding]) -> Vec<String> {
    let mut best: Vec<&Padding> = Vec::new();
    for candidate in padding {
        match best.iter_mut().find(|best| best.curve == candidate.curve) {
            Some(best) if candidate.gain > best.gain => *best = candidate,
            Some(_) => {}
            None => best.push(candidate),
        }
    }
    best.iter()
        .map(|p| {
            let memory = p
                .memory_overhead_pct
                .map_or_else(String::new, |pct| format!(", for {} more memory", percent(pct)));
            let copies = p.on_the_fly_gain.map_or_else(String::new, |gain| {
                format!("; net, with the copies timed too, {}", ratio(gain))
            });
            let (curve, from, to, gain) = (&p.curve, p.logical_dim, p.physical_dim, ratio(p.gain));
            format!("{curve}: padding {from} to {to} makes it {gain} as fast{memory}{copies}.")
        })
        .collect()
}

/// The backend that ran, or else the one a row was asked for.
pub fn selected(row: &Row) -> &str {
    let ran = row.measured().and_then(|row| row.backend_selected.as_deref());
    ran.unwrap_or_else(|| backend(row))
}

/// The backend a row was asked for.
pub fn backend(row: &Row) -> &str {
    let point = row.point();
    point.text("backend").unwrap_or(&point.curve)
}

fn backends(raw: &Raw) -> Vec<BackendRatio> {
    let mut fastest: BTreeMap<usize, f64> = BTreeMap::new();
    for row in raw.measured() {
        let best = fastest.entry(row.point.dim).or_insert(f64::INFINITY);
        *best = best.min(row.timing.p50);
    }
    let measured = raw.measurements.iter().filter_map(|row| match row {
        Row::Measured(measured) => Some((backend(row), measured)),
        Row::Failed(_) => None,
    });
    measured
        .map(|(backend, row)| BackendRatio {
            dim: row.point.dim,
            backend: backend.to_owned(),
            p50_ms: row.timing.p50,
            ratio: row.timing.p50 / fastest[&row.point.dim],
        })
        .collect()
}

/// Who is fastest where, what AUTO misses, who is slowest, and who is not to be had.
fn backend_sentences(raw: &Raw, ratios: &[BackendRatio]) -> Vec<String> {
    let mut sentences = Vec::new();
    let (auto, forced): (Vec<_>, Vec<_>) = ratios.iter().partition(|r| r.backend == "AUTO");
    let dims: BTreeSet<usize> = forced.iter().map(|r| r.dim).collect();
    let mut wins: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for dim in dims {
        let here = forced.iter().filter(|r| r.dim == dim);
        if let Some(best) = here.min_by(|a, b| a.p50_ms.total_cmp(&b.p50_ms)) {
            wins.entry(&best.backend).or_default().push(dim.to_string());
        }
    }
    if !wins.is_empty() {
        let wins: Vec<String> =
            wins.iter().map(|(backend, dims)| format!("{backend} at {}", list(dims))).collect();
        sentences.push(format!("The fastest forced backend by head_dim: {}.", wins.join("; ")));
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
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &raw.measurements {
        if matches!(row, Row::Failed(failed) if failed.backend_unsupported) {
            missing.entry(backend(row)).or_default().push(row.point().dim.to_string());
        }
    }
    if !missing.is_empty() {
        let missing: Vec<String> =
            missing.iter().map(|(backend, dims)| format!("{backend} at {}", list(dims))).collect();
        sentences.push(format!("Unsupported: {}.", missing.join("; ")));
    }
    sentences
}

/// The pattern of a row.
pub fn pattern(row: &Row) -> &str {
    let point = row.point();
    point.text("pattern").unwrap_or(&point.curve)
}

fn heterogeneity(raw: &Raw) -> Vec<Heterogeneity> {
    let measured = || {
        raw.measurements.iter().filter_map(|row| match row {
            Row::Measured(measured) => Some((pattern(row), measured)),
            Row::Failed(_) => None,
        })
    };
    let Some((_, uniform)) = measured().find(|(pattern, _)| *pattern == "uniform") else {
        return Vec::new();
    };
    let uniform = uniform.derived.tflops_stats.p50;
    measured()
        .filter(|(pattern, _)| *pattern != "uniform")
        .map(|(pattern, row)| Heterogeneity {
            pattern: pattern.to_owned(),
            penalty: uniform / row.derived.tflops_stats.p50,
            variants: row
                .variants
                .iter()
                .filter_map(|(name, variant)| match variant {
                    Variant::Measured { derived, .. } => {
                        Some((name.clone(), uniform / derived.tflops_stats.p50))
                    }
                    Variant::Failed { .. } => None,
                })
                .collect(),
        })
        .collect()
}

fn heterogeneity_sentences(patterns: &[Heterogeneity]) -> Vec<String> {
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
