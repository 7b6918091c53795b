//! A folder written whole or not at all.

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What the folders that are being written are called.
const PREFIX: &str = ".night-sweep-";
/// A folder of a process that is about to lock it is younger.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// Lets `fill` write into a new folder beside `target`, then puts it in place of `target` in one rename.
///
/// # Errors
/// If `fill` fails, the disk refuses, or `target` is a symbolic link; then `target` is as it was, and nothing is left
/// beside it.
pub fn replace(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = target.parent().context("a report needs a folder to lie in")?;
    not_a_link(target)?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    remove_left_behind(parent);

    let new = temporary(parent)?;
    let _locked = lock(new.path());
    fill(new.path()).with_context(|| format!("cannot write {}", target.display()))?;
    sync_dir(new.path())?;

    ensure!(
        !target.exists() || target.is_dir(),
        "{} is there already, and no folder",
        target.display()
    );
    let put = || fs::rename(new.path(), target);
    if target.exists() {
        // A folder that is not empty cannot be renamed over: the old one steps aside first.
        let aside = temporary(parent)?;
        let _locked = lock(aside.path());
        let old = aside.path().join("old");
        let context = || format!("cannot replace {}", target.display());
        fs::rename(target, &old).with_context(context)?;
        if let Err(error) = put() {
            if fs::rename(&old, target).is_err() {
                let kept = aside.keep();
                bail!("{}: {error}; what was there is now in {}", context(), kept.display());
            }
            return Err(error).with_context(context);
        }
    } else {
        put().with_context(|| format!("cannot put {} in place", target.display()))?;
    }
    sync_dir(parent)
}

/// Refuses a symbolic link: what is written there would end up elsewhere.
///
/// # Errors
/// If it is one.
pub fn not_a_link(path: &Path) -> Result<()> {
    ensure!(
        !path.is_symlink(),
        "{} is a symbolic link, and what is written there would end up elsewhere: remove it",
        path.display()
    );
    Ok(())
}

/// Writes a file and returns once it is on disk.
///
/// # Errors
/// If the disk refuses.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a folder and hands its path back.
///
/// # Errors
/// If the disk refuses.
pub fn make_dir(path: &Path) -> Result<PathBuf> {
    fs::create_dir(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path.to_owned())
}

/// Makes the names in a folder last through a power failure.
///
/// # Errors
/// If the disk refuses.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("cannot sync {}", path.display()))
}

/// A hidden folder that is removed when dropped, readable to whom the umask lets read.
fn temporary(parent: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder
        .tempdir_in(parent)
        .with_context(|| format!("cannot create a folder in {}", parent.display()))
}

/// Says that a process is at this folder, until the file is dropped or the process ends; none where the file system
/// has no locks.
fn lock(dir: &Path) -> Option<File> {
    let dir = File::open(dir).ok()?;
    flock(&dir, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(dir)
}

/// Removes the folders in `parent` of processes that were killed as they wrote them. What cannot be removed stays.
fn remove_left_behind(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if is_ours
            && age.is_some_and(|age| age > LEFT_BEHIND)
            && let Some(_locked) = lock(&entry.path())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("G3").join("run");
        replace(&target, |dir| write_file(&dir.join("a"), b"1")).unwrap();
        replace(&target, |dir| write_file(&dir.join("b"), b"2")).unwrap();
        assert_eq!(names(&target), ["b"]);
        assert_eq!(names(&root.path().join("G3")), ["run"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("run");
        let fail = |dir: &Path| {
            write_file(&dir.join("half"), b"1")?;
            bail!("the disk is full")
        };
        let error = format!("{:#}", replace(&target, fail).unwrap_err());
        assert!(error.contains("the disk is full") && error.contains("run"), "{error}");
        assert!(names(root.path()).is_empty());

        replace(&target, |dir| write_file(&dir.join("a"), b"1")).unwrap();
        assert!(replace(&target, fail).is_err());
        assert_eq!(names(root.path()), ["run"]);
        assert_eq!(names(&target), ["a"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let dir = make_dir(&root.path().join(name)).unwrap();
            write_file(&dir.join("raw.json"), b"1").unwrap();
            let dir = File::open(dir).unwrap();
            dir.set_modified(std::time::SystemTime::now() - age).unwrap();
        };
        make(".night-sweep-old", 2 * LEFT_BEHIND);
        make(".night-sweep-locked", 2 * LEFT_BEHIND);
        make(".night-sweep-new", Duration::ZERO);
        make(".other", 2 * LEFT_BEHIND);
        let _locked = lock(&root.path().join(".night-sweep-locked")).unwrap();
        replace(&root.path().join("run"), |dir| write_file(&dir.join("a"), b"1")).unwrap();
        let left = [".night-sweep-locked", ".night-sweep-new", ".other", "run"];
        assert_eq!(names(root.path()), left);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = make_dir(&root.path().join("elsewhere")).unwrap();
        let target = root.path().join("run");
        std::os::unix::fs::symlink(&elsewhere, &target).unwrap();
        let error = replace(&target, |dir| write_file(&dir.join("a"), b"1")).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(names(&elsewhere).is_empty());
    }
}
