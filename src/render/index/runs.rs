//! The run folders of a results root, as far as an index needs them: no samples.

use crate::files::plain_name;
use crate::journal::record::SCHEMA_VERSION;
use crate::results::raw::Metadata;
use crate::results::summary::Summary;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

/// A run on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The spec entry as run.
    pub config: Value,
    /// What was run where and when.
    pub metadata: Metadata,
    /// Its counts and findings.
    pub summary: Summary,
    /// Its rows.
    pub rows: Vec<Row>,
    /// `<group>/<run_id>`: both plain names.
    pub folder: String,
    /// Whether there is a report.html: runs of older versions have none.
    pub has_page: bool,
}

/// A row of raw.json without what only its own report shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Row {
    /// The curve this point lies on.
    pub curve: String,
    /// The swept dimension here.
    pub dim: usize,
    /// Absent where there is no time.
    #[serde(default)]
    pub timing: Option<Median>,
    /// Absent where there is no time.
    #[serde(default)]
    pub derived: Option<Rates>,
}

/// A median, in the unit of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Median {
    /// The median.
    pub p50: f64,
}

/// Rates of a row.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Rates {
    /// In TFLOP/s.
    pub tflops_stats: Median,
}

#[derive(Deserialize)]
struct Raw {
    schema_version: String,
    config: Value,
    metadata: Metadata,
    measurements: Vec<Row>,
}

/// All runs below `root`, newest first, and what is wrong with those that cannot be read.
///
/// # Errors
/// If `root` cannot be listed.
pub fn read(root: &Path) -> Result<(Vec<Run>, Vec<String>)> {
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    for group in folders(root)? {
        for run in folders(&root.join(&group))? {
            let folder = format!("{group}/{run}");
            let path = root.join(&folder);
            if !path.join("raw.json").is_file() {
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

fn read_one(folder: &Path) -> Result<(Raw, Summary)> {
    let raw: Raw = json(&folder.join("raw.json"))?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(&raw.schema_version) == major(SCHEMA_VERSION),
        "raw.json has version {}, not {SCHEMA_VERSION}",
        raw.schema_version
    );
    Ok((raw, json(&folder.join("summary.json"))?))
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let context = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(context)?;
    serde_json::from_reader(BufReader::new(file)).with_context(context)
}

/// Folders with plain names, in order of these: others are none of ours.
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
