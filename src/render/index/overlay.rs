//! What the script lays over each other: of each experiment the curves of some runs.

use super::reference::{OverlaidPoint, Reference};
use super::runs::Run;
use crate::experiments;
use crate::render::page::escape::visible;
use crate::results::raw::Metadata;
use crate::units::rounded;
use crate::workload::provider::Provider;
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// As many runs are drawn at a time, and of each device so many are there to be drawn.
pub const MOST: usize = 6;

#[derive(Serialize)]
pub struct Experiment {
    name: String,
    group: String,
    dim_name: &'static str,
    /// A few dimensions side by side instead of a sweep.
    is_sparse: bool,
    /// The first that pass the filters are drawn: see [`by_turns`].
    runs: Vec<Overlaid>,
    /// Published points, beside whatever is drawn.
    published: Option<Overlaid>,
}

#[derive(Serialize)]
pub struct Overlaid {
    device: String,
    label: String,
    curves: IndexMap<String, Curve>,
}

#[derive(Default, Serialize)]
pub struct Curve {
    /// Whose kernels its points ran.
    providers: BTreeSet<Provider>,
    points: Vec<OverlaidPoint>,
}

/// By name, those with several runs first.
pub fn experiments(runs: &[Run], reference: Option<&Reference>) -> Vec<Experiment> {
    // Entries of two specs may share a name, and be of different types.
    let mut by_name: IndexMap<(&str, &str), Vec<&Run>> = IndexMap::new();
    for run in runs {
        let Metadata { experiment_name, group, .. } = &run.metadata;
        by_name.entry((experiment_name, group)).or_default().push(run);
    }
    let mut experiments: Vec<Experiment> =
        by_name.into_values().map(|runs| experiment(&runs, reference)).collect();
    let curves = |each: &Experiment| each.runs.len() + usize::from(each.published.is_some());
    experiments.sort_by_key(|each| (curves(each) < 2, each.name.clone(), each.group.clone()));
    experiments
}

/// One of at least one run.
fn experiment(runs: &[&Run], reference: Option<&Reference>) -> Experiment {
    let view = experiments::view(&runs[0].config);
    let published =
        runs.iter().find_map(|run| reference?.of_group(&run.metadata.group)).map(|found| {
            let (device, label, curves) = found;
            let of_points = |points| Curve { providers: BTreeSet::new(), points };
            let curves = curves.into_iter().map(|(name, points)| (name, of_points(points)));
            Overlaid { device, label, curves: curves.collect() }
        });
    Experiment {
        name: visible(&runs[0].metadata.experiment_name),
        group: visible(&runs[0].metadata.group),
        dim_name: view.dim,
        is_sparse: !view.is_sweep(),
        runs: by_turns(runs).into_iter().map(overlaid).collect(),
        published,
    }
}

/// The newest run of each device, then the second of each, and so on: whatever is drawn shows as
/// many devices as it can.
fn by_turns<'a>(newest_first: &[&'a Run]) -> Vec<&'a Run> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let turn = |run: &&'a Run| {
        let count = counts.entry(run.device()).or_default();
        *count += 1;
        (*count, *run)
    };
    let mut turns: Vec<_> = newest_first.iter().map(turn).collect();
    turns.retain(|(turn, _)| *turn <= MOST);
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, run)| run).collect()
}

fn overlaid(run: &Run) -> Overlaid {
    // More digits than the times of another run share would only swell the page.
    let short = |value: f64| rounded(value, 5);
    let mut curves: IndexMap<String, Curve> = IndexMap::new();
    for row in &run.rows {
        let tflops = row.derived.map(|derived| short(derived.tflops_stats.p50));
        let curve = curves.entry(visible(&row.curve)).or_default();
        curve.points.push((row.dim, row.timing.map(|timing| short(timing.p50)), tflops));
        curve.providers.extend(row.provider);
    }
    curves.values_mut().for_each(|curve| curve.points.sort_by_key(|point| point.0));
    let mut label = format!("{} · {}", run.metadata.device_title(), run.started());
    if let Some(stand_ins) = run.stand_ins() {
        label += &format!(" · {stand_ins}");
    }
    Overlaid { device: visible(run.device()), label: visible(&label), curves }
}
