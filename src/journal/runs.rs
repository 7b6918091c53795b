//! The runs there are: a folder each under Criterion's, named by the run id.

use crate::files::{cannot, plain_name};
use crate::journal;
use crate::journal::home::runs_folder;
use crate::journal::record::Status;
use crate::units::now;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A run id is the name of a folder, so it holds nothing that could lead out of one.
pub fn run_id(text: &str) -> Result<String, String> {
    plain_name(text).map(|()| text.to_owned())
}

/// The journal that a user names: by a run id, by its path, by the folder it lies in, or by that of
/// the run's report.
pub fn journal_of(run: &str) -> Result<PathBuf> {
    let path = Path::new(run);
    let inside = path.join(journal::FILE_NAME);
    // What is there and no file is refused by name when it is read.
    let is_there = |path: &&Path| path.exists() && !path.is_dir();
    if let Some(journal) = [path, &inside].into_iter().find(is_there) {
        return Ok(journal.to_path_buf());
    }
    // The folder of a report has the name of its run.
    let name = path.file_name().filter(|_| path.is_dir()).and_then(|name| name.to_str());
    let run_id = run_id(name.unwrap_or(run)).map_err(|allowed| {
        anyhow!("{run:?} is no journal, no run's folder and no run id ({allowed})")
    })?;
    Ok(runs_folder().join(run_id).join(journal::FILE_NAME))
}

pub fn new_run_id(experiment: &str) -> Result<String> {
    let name = format!(
        "{}_{experiment}",
        now().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d_%H%M%S")
    );
    run_id(&name)
        .map_err(|allowed| anyhow!("{allowed}"))
        .with_context(|| format!("the experiment's name {experiment:?} cannot be part of a run id"))
}

/// Takes a run id that no run has yet, by making its folder: two runs may start at the same moment.
pub fn free_run_id(experiment: &str) -> Result<String> {
    let runs = runs_folder();
    fs::create_dir_all(&runs).with_context(cannot("create", &runs))?;
    first_free(&new_run_id(experiment)?, |run_id| make_new(&runs.join(run_id)))
}

/// The first of `name`, `name_2`, `name_3` and so on that can be taken.
pub fn first_free(name: &str, take: impl Fn(&str) -> Result<bool>) -> Result<String> {
    let (mut free, mut number) = (name.to_owned(), 1);
    while !take(&free)? {
        number += 1;
        free = format!("{name}_{number}");
    }
    Ok(free)
}

/// Makes a folder; false if it is there.
pub fn make_new(dir: &Path) -> Result<bool> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true).with_context(cannot("create", dir)),
    }
}

pub fn newest() -> Result<PathBuf> {
    newest_in(&runs_folder())
}

pub fn newest_in(folder: &Path) -> Result<PathBuf> {
    newest_first(folder).into_iter().next().with_context(|| {
        format!("there is no run yet in {}: make one with `cargo bench`", folder.display())
    })
}

/// The journals in a folder, the last one written to first.
pub fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let journals = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|run| run.path().join(journal::FILE_NAME));
    let dated =
        journals.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)));
    let mut dated: Vec<_> = dated.collect();
    dated.sort();
    dated.into_iter().rev().map(|(_, path)| path).collect()
}

#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    pub run_id: String,
    pub experiment: String,
    pub shard: Option<String>,
    pub device: String,
    /// Trials that are done, and that there are in all. Those of cases that failed count as done.
    pub trials: (usize, usize),
    pub written: jiff::Timestamp,
    /// Whether a process is at it now: then it cannot be resumed.
    pub is_under_way: bool,
}

/// The runs that are not complete, the last one written to first; and what is wrong with the
/// journals that cannot be read.
pub fn unfinished() -> Result<(Vec<Unfinished>, Vec<String>)> {
    let folder = runs_folder();
    let (mut runs, mut broken) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((runs, broken)),
        entries => entries.with_context(cannot("read", &folder))?,
    };
    for entry in entries {
        let path = entry?.path().join(journal::FILE_NAME);
        if !path.is_file() {
            continue;
        }
        match unfinished_run(&path) {
            Ok(run) => runs.extend(run),
            Err(error) => broken.push(format!("{error:#}")),
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.written));
    broken.sort();
    Ok((runs, broken))
}

fn unfinished_run(path: &Path) -> Result<Option<Unfinished>> {
    let run = journal::read(path)?;
    if run.end.as_ref().is_some_and(|end| end.status == Status::Complete) {
        return Ok(None);
    }
    let all = run.header.cases.len() * run.header.protocol.trials;
    let trials = (all - run.open_trials().len(), all);
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    Ok(Some(Unfinished {
        // By this, not by its header, is it found again.
        run_id: folder.to_string_lossy().into_owned(),
        experiment: run.header.experiment,
        shard: run.header.shard,
        device: run.header.device,
        trials,
        written: fs::metadata(path)?.modified()?.try_into()?,
        is_under_way: journal::is_being_written(path),
    }))
}
