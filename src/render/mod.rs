//! A run as people see it: the table that closes it, plots, page, index.

#![allow(missing_docs)] // of what its name says

pub mod index;
pub(crate) mod model_table;
pub mod page;
pub mod plot;
pub(crate) mod run_folder;
pub mod stored;
pub mod table;
pub mod terminal;

use crate::experiments;
use crate::files;
use crate::journal;
use crate::results::{breakdown, build, summarise};
use crate::terminal::{say, width};
use anyhow::{Context, Result};
use run_folder::RunFolder;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug)]
pub struct Written {
    pub folder: PathBuf,
    /// What a terminal shows of it, without colour, as wide as that is.
    pub table: String,
}

/// Writes `<results_root>/<group>/<run_id>/`: `{config,env,raw,summary}.json`, `report.html` and
/// `plots/`, whole or not at all. A folder of the same run is replaced if it holds only what
/// night-sweep wrote.
///
/// `criterion_home` is where Criterion keeps its own folders, `<group>/<series>/<point>/new`.
///
/// # Errors
/// If the journal cannot be read, the folder of its run or group is a symbolic link or another's,
/// or the disk refuses.
pub fn write(journal: &Path, criterion_home: &Path, results_root: &Path) -> Result<Written> {
    let start = Instant::now();
    let run = journal::read(journal)?;
    let run_folder = RunFolder::of(&run.header, results_root);
    run_folder.ensure_free()?;

    let (raw, warnings) = build::raw(&run, criterion_home)
        .with_context(|| format!("cannot report {}", journal.display()))?;
    let view = experiments::view(&raw.config);
    let mut summary = summarise::of(&raw, &run, view, warnings);
    let plots = plot::draw(&raw, &summary)?;
    // Drawing is most of a report; the page, which shows this, and the files cannot be in it.
    summary.breakdown = breakdown::of(&run, start.elapsed().as_secs_f64());
    let page = page::of(&raw, &summary, &run.header.env)?;

    let is_written = run_folder.replace(raw.metadata.status, |dir| {
        for (name, bytes) in [
            ("config.json", serde_json::to_vec_pretty(&run.header.config)?),
            ("env.json", serde_json::to_vec_pretty(&run.env())?),
            ("raw.json", serde_json::to_vec(&raw)?),
            ("summary.json", serde_json::to_vec_pretty(&summary)?),
            ("report.html", page.into_bytes()),
        ] {
            files::write_file(&dir.join(name), &bytes)?;
        }
        let dir = files::make_dir(&dir.join("plots"))?;
        for plot in &plots {
            files::write_file(&dir.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
            files::write_file(&dir.join(format!("{}.png", plot.name)), &plot.png)?;
        }
        files::sync_dir(&dir)
    })?;
    if !is_written {
        let folder = run_folder.path;
        say(&format!(
            "night-sweep: {}: this is the report of the complete run, and is kept; what was read \
             now is partial",
            folder.display()
        ));
        return Ok(Written { table: stored::table_of(&folder)?, folder });
    }
    Ok(Written { folder: run_folder.path, table: table::of(&raw, &summary, width()) })
}
