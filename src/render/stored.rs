//! The table of a report that was written before.

use super::table;
use crate::files;
use crate::results::folder;
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use crate::terminal::width;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

pub fn table_of(dir: &Path) -> Result<String> {
    let (raw, summary): (Raw, Summary) = (read(&folder::raw(dir))?, read(&folder::summary(dir))?);
    Ok(table::of(&raw, &summary, width()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = files::read_unzipped(path, files::RUN_BYTES)
        .with_context(|| format!("cannot read {}: is this a run folder?", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no report of this version", path.display()))
}
