//! The files of a run folder, read back. What no run measures is refused, see `possible`.

use super::folder;
use super::possible;
use super::raw::{Failed, Measured, Raw};
use super::summary::Summary;
use crate::files;
use crate::journal::record::SCHEMA_VERSION;
use anyhow::{Context, Error, Result, anyhow, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

const AGAIN: &str = "`night-sweep report` writes the folder again";

/// Reads a run folder, or its raw.json; either may be compressed.
pub fn raw(path: &Path) -> Result<Raw> {
    let file = if path.is_dir() { folder::raw(path) } else { path.to_owned() };
    let bytes = files::read_unzipped(&file, files::RUN_BYTES)
        .with_context(|| format!("cannot read {}: a run folder has a raw.json", file.display()))?;
    let raw: Raw = serde_json::from_slice(&bytes)
        .map_err(|error| broken_row(&bytes).unwrap_or_else(|| error.into()))
        .with_context(|| format!("{} is no raw.json of a run", file.display()))?;
    ensure_schema(&raw.schema_version).with_context(|| file.display().to_string())?;
    let mut ids = HashSet::new();
    for row in &raw.measurements {
        let id = &row.point().case_id;
        ensure!(ids.insert(id), "{}: {id} is in it twice; {AGAIN}", file.display());
        let possible = possible::row(row);
        possible.map_err(|what| anyhow!("{}: {id}: {what}; {AGAIN}", file.display()))?;
    }
    Ok(raw)
}

/// The first row that is none, with the key: of an untagged enum serde says neither.
fn broken_row(bytes: &[u8]) -> Option<Error> {
    let raw: Value = serde_json::from_slice(bytes).ok()?;
    raw["measurements"].as_array()?.iter().find_map(|row| {
        let error = match row.get("error") {
            None => Measured::deserialize(row).err(),
            Some(_) => Failed::deserialize(row).err(),
        };
        let id = row["case_id"].as_str().unwrap_or("a row without case_id");
        Some(Error::msg(error?).context(id.to_owned()))
    })
}

/// Reads the summary.json of a run folder, compressed or not.
pub fn summary(dir: &Path) -> Result<Summary> {
    let file = folder::summary(dir);
    let bytes = files::read_unzipped(&file, files::RUN_BYTES)
        .with_context(|| format!("cannot read {}; {AGAIN}", file.display()))?;
    let summary: Summary = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no summary.json of a run", file.display()))?;
    ensure_schema(&summary.schema_version).with_context(|| file.display().to_string())?;
    Ok(summary)
}

/// A minor version only adds keys.
pub fn ensure_schema(version: &str) -> Result<()> {
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure!(
        major(version) == major(SCHEMA_VERSION),
        "schema version {version}, this program reads {SCHEMA_VERSION}"
    );
    Ok(())
}
