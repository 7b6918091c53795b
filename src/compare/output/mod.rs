//! The formats of a comparison. To add one: a file with a function of [`Comparison`], and a line in
//! each of the two lists here.

mod annotations;
mod bencher;
mod critcmp;
mod junit;
mod markdown;
mod plot;
mod reference;
mod table;
mod words;

use super::comparison::Comparison;
use super::reference::answer::CardComparison;
use crate::files::{self, Kind};
use crate::terminal::width;
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::path::Path;

/// A way to write a comparison.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// For a person, as wide as the terminal, from 60 to 100 columns.
    Table,
    /// Everything: comparison.json.
    Json,
    /// For a pull request: short, with details folded.
    Markdown,
    /// For CI servers: a test case per case, a failure where it fails.
    Junit,
    /// GitHub's workflow commands, which become annotations of a run.
    Github,
    /// Bencher Metric Format, of the candidate.
    Bencher,
}

pub fn render(comparison: &Comparison, format: Format) -> Result<String> {
    Ok(match format {
        Format::Table => table::of(comparison, width()),
        Format::Json => serde_json::to_string_pretty(comparison)? + "\n",
        Format::Markdown => markdown::of(comparison),
        Format::Junit => junit::of(comparison),
        Format::Github => annotations::of(comparison),
        Format::Bencher => bencher::of(comparison)?,
    })
}

pub const FOLDER: Kind = Kind::of("a comparison", is_ours);

const FILES: [(&str, Format); 5] = [
    ("comparison.json", Format::Json),
    ("comparison.md", Format::Markdown),
    ("junit.xml", Format::Junit),
    ("annotations.txt", Format::Github),
    ("bencher.json", Format::Bencher),
];

/// Of a card against its reference.
const FILES_OF_CARD: [(&str, Format); 2] =
    [("reference.json", Format::Json), ("reference.md", Format::Markdown)];

fn is_ours(name: &Path, is_dir: bool) -> bool {
    const OTHERS: &str = "critcmp-base.json critcmp-cand.json scatter.svg scatter.png ratios.svg \
                          ratios.png";
    let of_cards = FILES_OF_CARD.iter().map(|(file, _)| *file);
    let mut files = FILES.iter().map(|(file, _)| *file).chain(of_cards).chain(OTHERS.split(' '));
    !is_dir && files.any(|file| name == Path::new(file))
}

pub fn write(comparison: &Comparison, target: &Path) -> Result<()> {
    let plots = plot::draw(comparison)?;
    files::replace(&std::path::absolute(target)?, &FOLDER, |dir| {
        for (name, format) in FILES {
            files::write_file(&dir.join(name), render(comparison, format)?.as_bytes())?;
        }
        for (name, baseline) in critcmp::of(comparison) {
            files::write_file(&dir.join(name), &serde_json::to_vec_pretty(&baseline)?)?;
        }
        for plot in &plots {
            files::write_file(&dir.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
            files::write_file(&dir.join(format!("{}.png", plot.name)), &plot.png)?;
        }
        Ok(())
    })
}

/// Why the other formats are refused.
pub const NO_FORMAT_OF_CARD: &str = "--format: with --reference there are table, json and markdown";

/// The same of a card against its reference, which has three of the formats.
pub fn render_card(comparison: &CardComparison, format: Format) -> Result<String> {
    Ok(match format {
        Format::Table => reference::table_of(comparison, width()),
        Format::Json => serde_json::to_string_pretty(comparison)? + "\n",
        Format::Markdown => reference::markdown_of(comparison),
        Format::Junit | Format::Github | Format::Bencher => {
            bail!(NO_FORMAT_OF_CARD)
        }
    })
}

pub fn write_card(comparison: &CardComparison, target: &Path) -> Result<()> {
    files::replace(&std::path::absolute(target)?, &FOLDER, |dir| {
        for (name, format) in FILES_OF_CARD {
            files::write_file(&dir.join(name), render_card(comparison, format)?.as_bytes())?;
        }
        Ok(())
    })
}
