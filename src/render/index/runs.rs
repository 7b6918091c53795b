//! The run folders of a results root, as far as an index needs them: no samples.

use crate::files::{self, plain_name};
use crate::journal::record::SCHEMA_VERSION;
use crate::results::folder::{self, is_run_folder};
use crate::results::raw::Metadata;
use crate::results::summary::Summary;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[derive(Debug)]
pub struct Run {
    pub config: Value,
    pub metadata: Metadata,
    pub summary: Summary,
    pub rows: Vec<Row>,
    /// `<group>/<run_id>`: both plain names.
    pub folder: String,
    /// Whether there is a report.html: runs of older versions have none.
    pub has_page: bool,
}

/// A row of raw.json without what only its own report shows.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub curve: String,
    pub dim: usize,
    pub timing: Option<Median>,
    pub derived: Option<Rates>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Median {
    pub p50: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Rates {
    pub tflops_stats: Median,
}

#[derive(Deserialize)]
struct Raw {
    schema_version: String,
    config: Value,
    metadata: Metadata,
    measurements: Vec<Row>,
}

pub fn read(root: &Path) -> Result<(Vec<Run>, Vec<String>)> {
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    for group in folders(root)? {
        for run in folders(&root.join(&group))? {
            let folder = format!("{group}/{run}");
            let path = root.join(&folder);
            if !is_run_folder(&path) {
                continue;
            }
            match read_one(&path) {
                Ok((raw, summary)) => runs.push(Run {
                    has_page: path.join("report.html").is_file(),
                    config: raw.config,
                    metadata: raw.metadata,
                    rows: raw.measurements,
                    summary,
                    folder,
                }),
                Err(error) => broken.push(format!("{folder}: {error:#}")),
            }
        }
    }
    // RFC 3339 in UTC sorts as text.
    runs.sort_by(|a, b| {
        (&b.metadata.started_at, &b.folder).cmp(&(&a.metadata.started_at, &a.folder))
    });
    Ok((runs, broken))
}

fn read_one(dir: &Path) -> Result<(Raw, Summary)> {
    let raw: Raw = json(&folder::raw(dir))?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(&raw.schema_version) == major(SCHEMA_VERSION),
        "raw.json has version {}, not {SCHEMA_VERSION}",
        raw.schema_version
    );
    Ok((raw, json(&folder::summary(dir))?))
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let context = || format!("cannot read {}", path.display());
    let bytes = files::read_unzipped(path, files::RUN_BYTES).with_context(context)?;
    serde_json::from_slice(&bytes).with_context(context)
}

fn folders(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| plain_name(name).is_ok())
        .collect();
    names.sort();
    Ok(names)
}
