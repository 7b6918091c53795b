//! A folder written whole or not at all.

use super::owned::{Kind, ensure_replaceable, listed, remove, write_mark};
use super::{PREFIX, cannot, open_dir, sync_dir};
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder of a process that is about to lock it is younger.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// Lets `fill` write into a new folder beside `target`, marks it, and puts it in place of `target`
/// in one rename: there is a folder of this name at all times. After an error `target` is as it
/// was, and nothing is left beside it.
///
/// Returns false, and replaces nothing, where what is in the place by then is to be kept.
pub fn replace_unless(
    target: &Path,
    kind: &Kind,
    is_kept: impl FnOnce(&Path) -> bool,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<bool> {
    let target = &super::plain(target);
    let parent = target.parent().context("a folder needs a folder to lie in")?;
    ensure_replaceable(target, kind)?;
    fs::create_dir_all(parent).with_context(cannot("create", parent))?;
    remove_left_behind(parent, kind);

    let new = Temporary::new(parent, kind)?;
    write_mark(&new.path, kind)
        .and_then(|()| fill(&new.path))
        .with_context(cannot("write", target))?;
    sync_dir(&new.path)?;

    // `fill` takes a while, and another process may have been faster.
    let _turn = turn(parent);
    ensure_replaceable(target, kind)?;
    if is_kept(target) {
        return Ok(false);
    }
    let context = || format!("cannot put {} in place", target.display());
    loop {
        // So that no other process takes it for one that was left behind, once it is aside.
        let _old = lock(target);
        match renameat_with(CWD, &new.path, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => {
                remove_old(target, &new.keep(), kind)?;
                break;
            }
            Err(Errno::NOENT) => match fs::rename(&new.path, target) {
                // Another process put one there just now.
                Err(_) if target.exists() => {}
                done => break done.with_context(context)?,
            },
            // A file system that cannot exchange two names.
            Err(_) => {
                step_aside(target, &new, kind)?;
                break;
            }
        }
    }
    sync_dir(parent)?;
    Ok(true)
}

/// [`replace_unless`] nothing is to be kept.
pub fn replace(target: &Path, kind: &Kind, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    replace_unless(target, kind, |_| false, fill).map(drop)
}

/// Waits for the other processes that put something in place in this folder: for a second at most,
/// as some file systems have no locks.
fn turn(parent: &Path) -> Option<File> {
    let dir = open_dir(parent).ok()?;
    for _ in 0..100 {
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
            taken => return taken.ok().map(|()| dir),
        }
    }
    None
}

/// A folder that is not empty cannot be renamed over: the old one steps aside, and is removed.
fn step_aside(target: &Path, new: &Temporary, kind: &Kind) -> Result<()> {
    let context = || format!("cannot replace {}", target.display());
    let parent = target.parent().with_context(context)?;
    // One that is empty can.
    let aside = Temporary::new(parent, kind)?;
    fs::rename(target, &aside.path).with_context(context)?;
    if let Err(error) = fs::rename(&new.path, target) {
        if fs::rename(&aside.path, target).is_err() {
            let kept = aside.keep();
            bail!("{}: {error}; what was there is now in {}", context(), kept.display());
        }
        return Err(error).with_context(context);
    }
    remove_old(target, &aside.keep(), kind)
}

/// Removes what was in the place of `target`, and is in `old` now.
fn remove_old(target: &Path, old: &Path, kind: &Kind) -> Result<()> {
    let strangers = remove(old, kind)?;
    ensure!(
        strangers.is_empty(),
        "{} was written to as it was replaced; what night-sweep did not write is kept: {}",
        target.display(),
        listed(&strangers)
    );
    Ok(())
}

/// A hidden folder beside one that is written. What is ours in it is removed when dropped.
struct Temporary<'a> {
    path: PathBuf,
    kind: &'a Kind<'a>,
    is_kept: bool,
    _locked: Option<File>,
}

impl<'a> Temporary<'a> {
    fn new(parent: &Path, kind: &'a Kind<'a>) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let dir = builder.tempdir_in(parent).with_context(cannot("create a folder in", parent))?;
        let path = dir.keep();
        let _locked = lock(&path);
        Ok(Temporary { path, kind, is_kept: false, _locked })
    }

    fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // It is gone if it was put in place. What cannot be removed now is left to a later process.
        if !self.is_kept && self.path.exists() {
            let _ = remove(&self.path, self.kind);
        }
    }
}

/// Says that a process is at this folder, until the file is dropped or the process ends; none where
/// the file system has no locks.
fn lock(dir: &Path) -> Option<File> {
    let dir = open_dir(dir).ok()?;
    flock(&dir, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(dir)
}

/// Removes the folders of this kind in `parent` of processes that were killed as they wrote them.
/// What cannot be removed stays.
fn remove_left_behind(parent: &Path, kind: &Kind) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|found| found.is_dir())
            && kind.has_marked(&entry.path());
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if is_ours
            && age.is_some_and(|age| age > LEFT_BEHIND)
            && let Some(_locked) = lock(&entry.path())
        {
            let _ = remove(&entry.path(), kind);
        }
    }
}
