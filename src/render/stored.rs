//! The table of a report that was written before.

use super::table;
use crate::results::read;
use crate::terminal::width;
use anyhow::Result;
use std::path::Path;

pub fn table_of(dir: &Path) -> Result<String> {
    Ok(table::of(&read::raw(dir)?, &read::summary(dir)?, width()))
}
