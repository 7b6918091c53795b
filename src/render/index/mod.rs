//! index.html: all runs of a results root on one page, and the runs of one experiment laid over
//! each other.

mod reference;
mod runs;

use super::page::escape::{self, html, visible};
use super::page::{SHARED, STYLE, sections, template};
use crate::experiments;
use crate::files;
use anyhow::Result;
use indexmap::IndexMap;
use reference::{OverlaidPoint, Reference};
use runs::Run;
use serde::Serialize;
use std::path::{Path, PathBuf};

const OVERLAID: usize = 6;

const TITLE: &str = "<title>Night Sweep: runs</title>";

#[derive(Debug)]
pub struct Index {
    pub path: PathBuf,
    pub runs: usize,
    pub broken: Vec<String>,
}

/// Writes `<results_root>/index.html` over all runs there, in place of an earlier one. The points
/// of `reference`, a file as in experiments/reference/, lie beside those of the runs of the same
/// experiment.
pub fn write(results_root: &Path, reference: Option<&Path>) -> Result<Index> {
    let reference = reference.map(reference::read).transpose()?;
    let (runs, broken) = runs::read(results_root)?;
    let page = page(&runs, &broken, reference.as_ref())?;
    let path = results_root.join("index.html");
    // Every index has this title.
    let is_ours = |found: &[u8]| String::from_utf8_lossy(found).contains(TITLE);
    files::replace_file(&path, page.as_bytes(), is_ours)?;
    Ok(Index { path, runs: runs.len(), broken })
}

fn page(runs: &[Run], broken: &[String], reference: Option<&Reference>) -> Result<String> {
    let experiments = experiments(runs, reference);
    template::fill(
        include_str!("index.html"),
        &[
            ("style", STYLE),
            ("count", &count(runs.len())),
            ("broken", &sections::warnings("broken", "Left out", broken)),
            ("rows", &runs.iter().map(row).collect::<String>()),
            ("data", &escape::json(&experiments)?),
            ("script", &format!("{SHARED}{}", include_str!("index.js"))),
        ],
    )
}

fn count(runs: usize) -> String {
    match runs {
        0 => "No run yet: make one with cargo bench".to_owned(),
        1 => "1 run".to_owned(),
        n => format!("{n} runs, newest first"),
    }
}

fn row(run: &Run) -> String {
    let Run { metadata, summary, folder, .. } = run;
    let experiment = html(&metadata.experiment_name);
    // Both parts of the folder are plain names, so that the address needs no escape.
    let link = match run.has_page {
        true => format!("<a href=\"{folder}/report.html\">{experiment}</a>"),
        false => format!("{experiment} <span class=\"ratio\">(no page)</span>"),
    };
    // The first finding is that there are stand-ins, where there are.
    let (telling, stand_ins) = match &*summary.stand_ins {
        [] => (0, String::new()),
        names => (1, format!(" <span class=\"ratio\">· {}</span>", html(&stand_ins(names)))),
    };
    let finding = summary.findings.get(telling).map_or("", String::as_str);
    let warnings = match summary.warnings.len() {
        0 => String::new(),
        n => format!(
            " <span class=\"ratio\" title=\"{}\">· {n} {}</span>",
            html(&summary.warnings.join("; ")),
            if n == 1 { "warning" } else { "warnings" }
        ),
    };
    format!(
        "<tr><td class=\"number\">{}</td><td class=\"name\">{link}</td><td \
         class=\"name\">{}</td><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td><td class=\"finding\">{}{stand_ins}{warnings}</td></tr>",
        html(&started(run)),
        html(&metadata.device_title()),
        summary.num_measurements,
        summary.failed,
        html(finding)
    )
}

fn stand_ins(names: &[String]) -> String {
    format!("stand-ins, not PyTorch's: {}", names.join(", "))
}

/// To the minute, UTC.
fn started(run: &Run) -> String {
    let started = &run.metadata.started_at;
    started.get(..16).unwrap_or(started).replace('T', " ")
}

#[derive(Serialize)]
struct Experiment {
    name: String,
    dim_name: &'static str,
    /// A few dimensions side by side instead of a sweep.
    is_sparse: bool,
    runs: Vec<Overlaid>,
}

#[derive(Serialize)]
struct Overlaid {
    label: String,
    curves: IndexMap<String, Vec<OverlaidPoint>>,
}

/// By name, those with several runs first.
fn experiments(runs: &[Run], reference: Option<&Reference>) -> Vec<Experiment> {
    let mut experiments: IndexMap<&str, Experiment> = IndexMap::new();
    // The reference takes the place of the oldest run.
    let most = OVERLAID - usize::from(reference.is_some());
    for run in runs {
        let Run { metadata, config, .. } = run;
        let view = experiments::view(config);
        let experiment =
            experiments.entry(&metadata.experiment_name).or_insert_with(|| Experiment {
                name: visible(&metadata.experiment_name),
                dim_name: view.dim,
                is_sparse: !view.is_sweep(),
                runs: Vec::new(),
            });
        if experiment.runs.len() < most {
            experiment.runs.push(overlaid(run));
        }
    }
    for run in runs.iter().rev() {
        let experiment = experiments.get_mut(&*run.metadata.experiment_name);
        let published = reference.and_then(|reference| reference.of_group(&run.metadata.group));
        if let (Some(experiment), Some((label, curves))) = (experiment, published)
            && experiment.runs.iter().all(|known| known.label != label)
        {
            experiment.runs.push(Overlaid { label, curves });
        }
    }
    let mut experiments: Vec<Experiment> = experiments.into_values().collect();
    experiments.sort_by_key(|experiment| (experiment.runs.len() < 2, experiment.name.clone()));
    experiments
}

fn overlaid(run: &Run) -> Overlaid {
    let mut curves: IndexMap<String, Vec<_>> = IndexMap::new();
    for row in &run.rows {
        let tflops = row.derived.map(|derived| derived.tflops_stats.p50);
        let point = (row.dim, row.timing.map(|timing| timing.p50), tflops);
        curves.entry(visible(&row.curve)).or_default().push(point);
    }
    curves.values_mut().for_each(|points| points.sort_by_key(|point| point.0));
    let mut label = format!("{} · {}", run.metadata.device_title(), started(run));
    if !run.summary.stand_ins.is_empty() {
        label += &format!(" · {}", stand_ins(&run.summary.stand_ins));
    }
    let label = visible(&label);
    Overlaid { label, curves }
}
