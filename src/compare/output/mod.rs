//! A comparison for people, for pull requests, for CI servers, and for the tools that keep track of
//! benchmarks.
//!
//! To add a format: a file with a function of [`Comparison`], and a line in each of the two lists
//! here.

mod annotations;
mod bencher;
mod critcmp;
mod junit;
mod markdown;
mod plot;
mod table;

use super::comparison::{Comparison, Kind, Outcome, Row};
use super::kernels;
use crate::files::{self, Kind as FolderKind};
use anyhow::Result;
use clap::ValueEnum;
use std::path::Path;

/// A way to write a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person, at most 100 columns wide.
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

/// Writes a comparison, with a newline at the end.
pub fn render(comparison: &Comparison, format: Format) -> Result<String> {
    Ok(match format {
        Format::Table => table::of(comparison),
        Format::Json => serde_json::to_string_pretty(comparison)? + "\n",
        Format::Markdown => markdown::of(comparison),
        Format::Junit => junit::of(comparison),
        Format::Github => annotations::of(comparison),
        Format::Bencher => bencher::of(comparison)?,
    })
}

/// The folder of [`write()`], for its mark.
pub const FOLDER: FolderKind =
    FolderKind { what: "a comparison", identity: "", is_ours, unmarked: &|_| false };

/// The files of [`write()`] that are a format.
const FILES: [(&str, Format); 5] = [
    ("comparison.json", Format::Json),
    ("comparison.md", Format::Markdown),
    ("junit.xml", Format::Junit),
    ("annotations.txt", Format::Github),
    ("bencher.json", Format::Bencher),
];

fn is_ours(name: &Path, is_dir: bool) -> bool {
    const OTHERS: [&str; 6] = [
        "critcmp-base.json",
        "critcmp-cand.json",
        "scatter.svg",
        "scatter.png",
        "ratios.svg",
        "ratios.png",
    ];
    let mut files = FILES.iter().map(|(file, _)| file).chain(&OTHERS);
    !is_dir && files.any(|file| name == Path::new(file))
}

/// Writes a folder with every format and the plots, whole or not at all, in place of an earlier one.
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

/// What was compared, in a few words.
fn title(comparison: &Comparison) -> String {
    let what = match comparison.kind {
        Kind::Stored => "Stored runs",
        Kind::Gate => "Gate",
        Kind::NoiseFloor => "Noise floor",
    };
    let device = comparison.base.device.as_ref().map(|device| format!(" on {device}"));
    let names = match comparison.kind {
        Kind::Stored => format!("{} against {}", comparison.cand.name, comparison.base.name),
        Kind::Gate => "candidate against base".to_owned(),
        Kind::NoiseFloor => "the base against itself".to_owned(),
    };
    format!("{what}: {names}{}", device.unwrap_or_default())
}

/// The answer, in a sentence.
fn answer(comparison: &Comparison) -> String {
    let failing = comparison.failing().count();
    let cases = comparison.rows.len();
    let threshold = comparison.threshold_pct;
    let mut answer = match comparison.outcome {
        Outcome::Inconclusive => "No answer: see the notes.".to_owned(),
        Outcome::Passed => {
            format!("Passed: none of {cases} cases got slower by {threshold:.1} % or more.")
        }
        Outcome::Regressed if failing == 0 => {
            "Regressed: the suite as a whole got slower.".to_owned()
        }
        Outcome::Regressed => format!("Regressed: {failing} of {cases} cases."),
    };
    let seen = comparison.gate.and_then(|gate| gate.mde_pct);
    if let (Kind::NoiseFloor, Some(seen)) = (comparison.kind, seen) {
        answer.push_str(&format!(" Median minimum detectable effect: {seen:.1} %."));
    }
    answer
}

/// `+4.0 %`, as a change of time.
fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// `+3.1 to +4.9 %`.
fn interval([low, high]: [f64; 2]) -> String {
    format!("{:+.1} to {:+.1} %", (low - 1.0) * 100.0, (high - 1.0) * 100.0)
}

/// What is to be said of a row beside its numbers.
fn reasons(row: &Row) -> Vec<String> {
    // That they differ is no proof that they are why.
    let kernels = row.kernel_change.as_ref();
    let kernels =
        kernels.map(|change| format!("kernels that differ: {}", kernels::sentence(change)));
    kernels.into_iter().chain(row.remarks.iter().cloned()).collect()
}

/// `2 REGRESSED, 1 ONLY_IN_BASE, 80 SAME`.
fn counts(comparison: &Comparison) -> String {
    let each =
        comparison.counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.name()));
    each.collect::<Vec<_>>().join(", ")
}
