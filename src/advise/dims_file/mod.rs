//! A file of dimensions, as people and compression methods write them; what it is, its content
//! tells.

mod csv;
mod forms;
mod json;
mod replace;

#[cfg(test)]
mod tests;

use anyhow::{Result, ensure};

pub use forms::DimsFile;

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

/// The file `text` with `dims` in place of its own dimensions, in their order.
pub fn replaced(text: &str, dims: &[usize]) -> Result<String> {
    replace::replaced(text, dims, read)
}
