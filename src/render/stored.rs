//! The table of a report that was written before.

use super::table;
use crate::files;
use crate::results::folder;
use crate::results::read;
use crate::results::summary::Summary;
use crate::terminal::width;
use anyhow::{Context, Result};
use std::path::Path;

pub fn table_of(dir: &Path) -> Result<String> {
    Ok(table::of(&read::raw(dir)?, &summary(dir)?, width()))
}

fn summary(dir: &Path) -> Result<Summary> {
    let path = folder::summary(dir);
    let bytes = files::read_unzipped(&path, files::RUN_BYTES).with_context(|| {
        format!("cannot read {}: `night-sweep report` writes the folder again", path.display())
    })?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no summary.json of this version", path.display()))
}
