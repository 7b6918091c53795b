//! A folder written whole or not at all.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Lets `fill` write into a new folder beside `target`, then puts it in place of `target` in one rename.
///
/// # Errors
/// If `fill` fails or the disk refuses; then `target` is as it was, and nothing is left beside it.
pub fn replace(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = target.parent().context("a report needs a folder to lie in")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;

    let new = temporary(parent)?;
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
    builder.prefix(".night-sweep-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder
        .tempdir_in(parent)
        .with_context(|| format!("cannot create a folder in {}", parent.display()))
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
}
