//! The run folders of a results root, as far as an index needs them: no samples.

use crate::files::{self, plain_name};
use crate::results::folder::{self, is_run_folder};
use crate::results::possible;
use crate::results::raw::Metadata;
use crate::results::read;
use crate::results::summary::Summary;
use crate::workload::provider::Provider;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[derive(Debug)]
pub struct Run {
    pub config: Value,
    pub metadata: Metadata,
    pub summary: Summary,
    pub rows: Vec<Row>,
    /// `<group>/<run_id>`, or `<folder>/<group>/<run_id>`: all plain names.
    pub folder: String,
    /// Whether there is a report.html: runs of older versions have none.
    pub has_page: bool,
}

/// A row of raw.json without what only its own report shows.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub curve: String,
    pub dim: usize,
    /// None where there is no time.
    pub provider: Option<Provider>,
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

impl Run {
    /// The name of its GPU, or of its processor: what other runs of the same kind share.
    pub fn device(&self) -> &str {
        self.metadata.device_name.as_deref().unwrap_or(&self.metadata.device)
    }

    /// To the minute, UTC.
    pub fn started(&self) -> String {
        let started = &self.metadata.started_at;
        started.get(..16).unwrap_or(started).replace('T', " ")
    }

    /// Which names ran others' kernels, if any did.
    pub fn stand_ins(&self) -> Option<String> {
        let names = &self.summary.stand_ins;
        (!names.is_empty()).then(|| format!("stand-ins, not PyTorch's: {}", names.join(", ")))
    }
}

/// The runs at `<group>/<run id>` and, copied from elsewhere, at `<folder>/<group>/<run id>`, the
/// newest first; and what is wrong with those that cannot be read.
pub fn read(root: &Path) -> Result<(Vec<Run>, Vec<String>)> {
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    for group in folders(root)? {
        for inside in listed(root, &group, &mut broken) {
            if is_run_folder(&root.join(&inside)) {
                add(root, inside, &mut runs, &mut broken);
                continue;
            }
            for run in listed(root, &inside, &mut broken) {
                if is_run_folder(&root.join(&run)) {
                    add(root, run, &mut runs, &mut broken);
                }
            }
        }
    }
    // RFC 3339 in UTC sorts as text.
    runs.sort_by(|a, b| {
        (&b.metadata.started_at, &b.folder).cmp(&(&a.metadata.started_at, &a.folder))
    });
    Ok((runs, broken))
}

/// The folders in one of the root, as the root names them; none in one that cannot be read.
fn listed(root: &Path, folder: &str, broken: &mut Vec<String>) -> Vec<String> {
    match folders(&root.join(folder)) {
        Ok(inside) => inside.iter().map(|name| format!("{folder}/{name}")).collect(),
        Err(error) => {
            broken.push(format!("{folder}: {error:#}"));
            Vec::new()
        }
    }
}

fn add(root: &Path, folder: String, runs: &mut Vec<Run>, broken: &mut Vec<String>) {
    let path = root.join(&folder);
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

fn read_one(dir: &Path) -> Result<(Raw, Summary)> {
    let file = folder::raw(dir);
    let context = || format!("cannot read {}", file.display());
    let bytes = files::read_unzipped(&file, files::RUN_BYTES).with_context(context)?;
    let raw: Raw = serde_json::from_slice(&bytes).with_context(context)?;
    read::ensure_schema(&raw.schema_version)?;
    for row in &raw.measurements {
        possible::dim(row.dim)?;
        row.timing.iter().try_for_each(|timing| possible::time("timing", timing.p50))?;
    }
    Ok((raw, read::summary(dir)?))
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
