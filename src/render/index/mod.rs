//! index.html: all runs of a results root on one page, and the runs of one experiment laid over
//! each other.

mod overlay;
mod reference;
mod runs;

use super::page::escape::{self, html, visible};
use super::page::{SHARED, STYLE, sections, template};
use crate::files;
use crate::workload::provider::Provider;
use anyhow::Result;
use overlay::Experiment;
use reference::Reference;
use runs::Run;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const OWN: &str = concat!(include_str!("filters.js"), include_str!("index.js"));

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

/// What the script filters and draws.
#[derive(Serialize)]
struct Data {
    /// In the order of the table's rows.
    runs: Vec<Listed>,
    /// How many runs are drawn at a time.
    most: usize,
    experiments: Vec<Experiment>,
}

/// A row of the table, by what it is filtered.
#[derive(Serialize)]
struct Listed {
    device: String,
    group: String,
    experiment: String,
    /// Of all its rows that have a time.
    providers: BTreeSet<Provider>,
}

fn listed(run: &Run) -> Listed {
    Listed {
        device: visible(run.device()),
        group: visible(&run.metadata.group),
        experiment: visible(&run.metadata.experiment_name),
        providers: run.rows.iter().filter_map(|row| row.provider).collect(),
    }
}

fn page(runs: &[Run], broken: &[String], reference: Option<&Reference>) -> Result<String> {
    let data = Data {
        runs: runs.iter().map(listed).collect(),
        most: overlay::MOST,
        experiments: overlay::experiments(runs, reference),
    };
    template::fill(
        include_str!("index.html"),
        &[
            ("style", STYLE),
            ("count", &count(runs.len())),
            ("broken", &sections::warnings("broken", "Left out", broken)),
            ("rows", &runs.iter().map(row).collect::<String>()),
            ("data", &escape::json(&data)?),
            ("script", &format!("{SHARED}{OWN}")),
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
    // All parts of the folder are plain names, so that the address needs no escape.
    let link = match run.has_page {
        true => format!("<a href=\"{folder}/report.html\">{experiment}</a>"),
        false => format!("{experiment} <span class=\"ratio\">(no page)</span>"),
    };
    // The first finding is that there are stand-ins, where there are.
    let (telling, stand_ins) = match run.stand_ins() {
        None => (0, String::new()),
        Some(names) => (1, format!(" <span class=\"ratio\">· {}</span>", html(&names))),
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
        html(&run.started()),
        html(&metadata.device_title()),
        summary.num_measurements,
        summary.failed,
        html(finding)
    )
}
