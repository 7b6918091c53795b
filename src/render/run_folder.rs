//! The folder of a run below the results root, and whose it is.

use crate::files::{self, Kind};
use crate::journal::record::{Header, Status};
use crate::results::folder;
use crate::results::raw::Metadata;
use anyhow::Result;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `<results root>/<group>/<run id>`.
pub struct RunFolder {
    pub path: PathBuf,
    group: String,
    run_id: String,
    /// When the run began: another run may have the same name.
    started_at: String,
}

impl RunFolder {
    pub fn of(header: &Header, results_root: &Path) -> RunFolder {
        let started_at = header.started_at.clone();
        let run = RunFolder::of_new_run(results_root, &header.group, &header.run_id);
        RunFolder { started_at, ..run }
    }

    /// That of a run that is about to begin: none that is there is its own.
    pub fn of_new_run(results_root: &Path, group: &str, run_id: &str) -> RunFolder {
        let path = results_root.join(group).join(run_id);
        let (group, run_id, started_at) = (group.to_owned(), run_id.to_owned(), "now".to_owned());
        RunFolder { path, group, run_id, started_at }
    }

    /// Refuses now what [`RunFolder::replace`] would refuse when everything is measured.
    ///
    /// # Errors
    /// If there is a folder that is not this run's, or that holds what night-sweep did not write.
    pub fn ensure_free(&self) -> Result<()> {
        if let Some(group) = self.path.parent() {
            files::not_a_link(group)?;
        }
        self.with_kind(|kind| files::ensure_replaceable(&self.path, kind))
    }

    /// Returns false where the complete report of the run is kept: a partial one, of a process that
    /// read the journal before the run ended, never takes its place.
    pub fn replace(&self, status: Status, fill: impl FnOnce(&Path) -> Result<()>) -> Result<bool> {
        self.ensure_free()?;
        let is_kept = |dir: &Path| {
            status == Status::Partial
                && metadata(dir)
                    .is_some_and(|found| found.status == Status::Complete && self.is_of(&found))
        };
        self.with_kind(|kind| files::replace_unless(&self.path, kind, is_kept, fill))
    }

    fn with_kind<T>(&self, act: impl FnOnce(&Kind) -> T) -> T {
        let identity = format!("{}/{} started {}", self.group, self.run_id, self.started_at);
        act(&Kind {
            what: "the results of the run",
            identity: &identity,
            is_ours,
            unmarked: &|dir| metadata(dir).is_some_and(|found| self.is_of(&found)),
        })
    }

    fn is_of(&self, metadata: &Metadata) -> bool {
        (&metadata.run_id, &metadata.group, &metadata.started_at)
            == (&self.run_id, &self.group, &self.started_at)
    }
}

/// Of the report in a folder, if there is one.
fn metadata(dir: &Path) -> Option<Metadata> {
    #[derive(Deserialize)]
    struct Raw {
        metadata: Metadata,
    }
    let bytes = files::read_unzipped(&folder::raw(dir), files::RUN_BYTES).ok()?;
    serde_json::from_slice(&bytes).map(|Raw { metadata }| metadata).ok()
}

fn is_ours(name: &Path, is_dir: bool) -> bool {
    const FILES: [&str; 5] = ["config.json", "env.json", "raw.json", "summary.json", "report.html"];
    if is_dir {
        return name == Path::new("plots");
    }
    let is_plot = || name.extension().is_some_and(|ending| ending == "svg" || ending == "png");
    FILES.iter().chain(&folder::COMPRESSED).any(|file| name == Path::new(file))
        || name.starts_with("plots") && is_plot()
}
