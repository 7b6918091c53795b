//! A journal becomes a folder of results: raw.json, summary.json, plots and the table that closes a run.
//!
//! ```text
//! Run -> build -> Raw -> Summary -> table, plots, page -> folder
//!          criterion_files
//! ```
//!
//! Everything after [`build`] is a function of [`raw::Raw`] alone, so that a folder can be read back and reported
//! again.

mod aside;
pub mod breakdown;
pub mod build;
pub mod conformance;
pub mod criterion_files;
pub mod curve;
pub mod findings;
pub(crate) mod folder;
pub mod index;
pub mod json;
pub mod page;
pub mod peak;
pub mod plot;
pub mod raw;
pub mod stats;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod units;

use crate::journal;
use crate::runs::run_id;
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A report on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `<results root>/<group>/<run_id>`.
    pub folder: PathBuf,
    /// What a terminal shows of it, without colour, at most [`table::WIDTH`] columns wide.
    pub table: String,
}

/// Writes `<results_root>/<group>/<run_id>/`: `{config,env,raw,summary}.json`, `report.html` and `plots/`, whole or not at all. A
/// folder of the same run is replaced.
///
/// `criterion_home` is where Criterion keeps its own folders, `<group>/<series>/<point>/new`.
///
/// # Errors
/// If the journal cannot be read, its run id or group is no plain file name, the folder of either is a symbolic link, or
/// the disk refuses.
pub fn write(journal: &Path, criterion_home: &Path, results_root: &Path) -> Result<Written> {
    let start = Instant::now();
    let run = journal::read(journal)?;
    ensure_plain("run id", &run.header.run_id)?;
    ensure_plain("group", &run.header.group)?;

    let (raw, warnings) = build::raw(&run, criterion_home)
        .with_context(|| format!("cannot report {}", journal.display()))?;
    let mut summary = summary::of(&raw, &run, warnings);
    let plots = plot::draw(&raw, &summary)?;
    // Drawing is most of a report; the page, which shows this, and the files cannot be in it.
    summary.breakdown = breakdown::of(&run, start.elapsed().as_secs_f64());
    let page = page::of(&raw, &summary, &run.header.env)?;

    let group = results_root.join(&run.header.group);
    folder::not_a_link(&group)?;
    let target = group.join(&run.header.run_id);
    folder::replace(&target, |dir| {
        folder::write_file(&dir.join("config.json"), &json::pretty(&run.header.config)?)?;
        folder::write_file(&dir.join("env.json"), &json::pretty(&run.env())?)?;
        folder::write_file(&dir.join("raw.json"), &json::pretty(&raw)?)?;
        folder::write_file(&dir.join("summary.json"), &json::pretty(&summary)?)?;
        folder::write_file(&dir.join("report.html"), page.as_bytes())?;
        let dir = folder::make_dir(&dir.join("plots"))?;
        for plot in &plots {
            folder::write_file(&dir.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
            folder::write_file(&dir.join(format!("{}.png", plot.name)), &plot.png)?;
        }
        folder::sync_dir(&dir)
    })?;
    Ok(Written { folder: target, table: table::of(&raw, &summary) })
}

/// Run id and group become folders: nothing in them may lead elsewhere or hide.
fn ensure_plain(what: &str, name: &str) -> Result<()> {
    run_id(name).map(drop).map_err(|allowed| anyhow!("{what} {name:?}: allowed is {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::ensure_plain;

    #[test]
    fn only_plain_names_become_folders() {
        for name in ["S1", "20260101_000000_S1_sdpa_dense_sweep", "a.b-c"] {
            assert!(ensure_plain("run id", name).is_ok(), "{name}");
        }
        for name in
            ["", ".", "..", ".hidden", "a/b", "../x", "a\\b", "a b", "ä", "a\0", "/etc", "\n"]
        {
            assert!(ensure_plain("run id", name).is_err(), "{name:?}");
        }
        assert!(ensure_plain("group", &"x".repeat(201)).is_err());
    }
}
