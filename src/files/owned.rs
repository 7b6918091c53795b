//! Folders that Night Sweep made: how they are marked, checked and removed.

use super::{PREFIX, cannot, not_a_link, plain, write_atomically};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name of the file that marks a folder of ours; its lines say what the folder is.
pub const MARK: &str = ".night-sweep";

#[derive(Clone, Copy)]
pub struct Kind<'a> {
    /// In a few words, for the mark and for people.
    pub what: &'static str,
    pub identity: &'a str,
    /// Whether we write a file or, if the second argument is true, a folder of this name; relative
    /// to the folder.
    pub is_ours: fn(&Path, bool) -> bool,
    /// Whether a folder without a mark is ours by what is in it: older versions wrote no marks.
    pub unmarked: &'a dyn Fn(&Path) -> bool,
}

impl Kind<'_> {
    /// A kind of which all may replace each other, and none is without a mark.
    pub const fn of(what: &'static str, is_ours: fn(&Path, bool) -> bool) -> Self {
        Kind { what, identity: "", is_ours, unmarked: &|_| false }
    }

    fn mark(&self) -> String {
        format!("night-sweep: {}\n{}\n", self.what, self.identity)
    }

    pub(super) fn has_marked(&self, dir: &Path) -> bool {
        let first = format!("night-sweep: {}\n", self.what);
        mark(dir).is_some_and(|mark| mark.starts_with(first.as_bytes()))
    }
}

/// Refuses a folder that another made: one that exists, is not empty, and has no mark of this kind.
pub fn ensure_ours(dir: &Path, kind: &Kind) -> Result<()> {
    let dir = &plain(dir);
    // Not followed, even where a slash at its end asks for that.
    not_a_link(dir)?;
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(cannot("read", dir)),
        Ok(found) => {
            ensure!(found.is_dir(), "{} is a file, no folder: choose another name", dir.display())
        }
    }
    if is_empty(dir)? {
        return Ok(());
    }
    let is_unmarked = fs::symlink_metadata(dir.join(MARK)).is_err();
    ensure!(
        mark(dir).is_some_and(|mark| mark == kind.mark().as_bytes())
            || is_unmarked && (kind.unmarked)(dir),
        "{} is not empty, and its {MARK} does not say that night-sweep made it for {}: choose \
         another \
         folder, or move this one away",
        dir.display(),
        [kind.what, kind.identity].join(" ").trim_end()
    );
    Ok(())
}

/// As [`ensure_ours`], and refuses a folder with anything in it that we did not write.
pub fn ensure_replaceable(dir: &Path, kind: &Kind) -> Result<()> {
    ensure_ours(dir, kind)?;
    if !dir.exists() {
        return Ok(());
    }
    let strangers = walk(dir, Path::new(""), kind, false)?;
    ensure!(
        strangers.is_empty(),
        "{} holds what night-sweep did not write ({}): move that, or choose another folder",
        dir.display(),
        listed(&strangers)
    );
    Ok(())
}

/// Makes a folder of ours, or takes one that is empty or ours already.
pub fn claim(dir: &Path, kind: &Kind) -> Result<()> {
    ensure_ours(dir, kind)?;
    fs::create_dir_all(dir).with_context(cannot("create", dir))?;
    match mark(dir) {
        Some(_) => Ok(()),
        None => write_mark(dir, kind),
    }
}

/// Removes a folder of ours, and returns what we did not write: that stays, with the folder and its
/// mark.
pub fn clear(dir: &Path, kind: &Kind) -> Result<Vec<PathBuf>> {
    ensure_ours(dir, kind)?;
    match dir.exists() {
        true => remove(dir, kind),
        false => Ok(Vec::new()),
    }
}

/// [`clear`] without its check.
pub(super) fn remove(dir: &Path, kind: &Kind) -> Result<Vec<PathBuf>> {
    let strangers = walk(dir, Path::new(""), kind, true)?;
    if strangers.is_empty() {
        // The mark goes last: a folder half removed is still ours.
        let mark = dir.join(MARK);
        let removed = if mark.exists() { fs::remove_file(mark) } else { Ok(()) };
        removed.and_then(|()| fs::remove_dir(dir)).with_context(cannot("remove", dir))?;
    }
    Ok(strangers)
}

pub(super) fn write_mark(dir: &Path, kind: &Kind) -> Result<()> {
    write_atomically(&dir.join(MARK), kind.mark().as_bytes())
}

pub fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().take(3).map(|path| path.display().to_string()).collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn mark(dir: &Path) -> Option<Vec<u8>> {
    let path = dir.join(MARK);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    is_file.then(|| super::read(&path, super::SMALL_BYTES).ok()).flatten()
}

fn is_empty(dir: &Path) -> Result<bool> {
    let entries = fs::read_dir(dir).with_context(cannot("read", dir));
    Ok(entries?.next().is_none())
}

/// What is below `root` in `below` and not ours; removes the rest if `removes`. Links are not
/// followed.
fn walk(root: &Path, below: &Path, kind: &Kind, removes: bool) -> Result<Vec<PathBuf>> {
    let dir = root.join(below);
    let context = || format!("cannot read {}", dir.display());
    let mut strangers = Vec::new();
    for entry in fs::read_dir(&dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let found = entry.file_type().with_context(context)?;
        let is_temporary = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_ours = match (found.is_dir(), found.is_file()) {
            (true, _) => (kind.is_ours)(&name, true),
            (_, true) => is_temporary || name == Path::new(MARK) || (kind.is_ours)(&name, false),
            _ => false,
        };
        if !is_ours {
            strangers.push(path);
        } else if found.is_dir() {
            let inside = walk(root, &name, kind, removes)?;
            if removes && inside.is_empty() {
                fs::remove_dir(&path).with_context(cannot("remove", &path))?;
            }
            strangers.extend(inside);
        } else if removes && name != Path::new(MARK) {
            fs::remove_file(&path).with_context(cannot("remove", &path))?;
        }
    }
    strangers.sort();
    Ok(strangers)
}
