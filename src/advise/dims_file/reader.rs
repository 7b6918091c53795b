//! What is in a file of dimensions, whatever its form.

use super::forms::DimsFile;
use super::{csv, json};
use crate::files::{self, cannot};
use anyhow::{Context, Result, ensure};
use std::path::Path;

pub fn read(text: &str) -> Result<DimsFile> {
    // A byte-order mark is what spreadsheets put first.
    let text = text.trim_start_matches('\u{feff}');
    let file = match text.trim_start().starts_with(['[', '{']) {
        true => json::read(text)?,
        false => csv::read(text)?,
    };
    ensure!(!file.items.is_empty(), "there is no dimension in it");
    Ok(file)
}

/// A file of this path: its text, and what is in it.
pub fn load(path: &Path) -> Result<(String, DimsFile)> {
    let text = files::read_text(path, files::LARGE_BYTES).with_context(cannot("read", path))?;
    let file = read(&text).with_context(|| path.display().to_string())?;
    Ok((text, file))
}
