//! Paths that must not lie within one another.

use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// A path without slashes at its end: with one, a symbolic link would be followed.
pub fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Refuses paths within folders whose contents are removed or replaced. Each path is named by the
/// option it comes from; `folders` must not lie within one another either.
pub fn ensure_apart(folders: &[(&str, &Path)], others: &[(&str, &Path)]) -> Result<()> {
    for (index, (folder_name, folder)) in folders.iter().enumerate() {
        let outer = resolved(folder)?;
        let rest = folders.iter().enumerate().filter(|(other, _)| *other != index);
        for (name, path) in rest.map(|(_, other)| other).chain(others) {
            ensure!(
                !resolved(path)?.starts_with(&outer),
                "{name} {} is in {folder_name} {}, where night-sweep removes and replaces files: \
                 choose another place \
                 for one of them",
                path.display(),
                folder.display()
            );
        }
    }
    Ok(())
}

/// The absolute path without links and dots. What does not exist yet is taken by its name.
fn resolved(path: &Path) -> Result<PathBuf> {
    let context = || format!("cannot resolve {}", path.display());
    let mut known = std::path::absolute(path).with_context(context)?;
    let mut unknown: Vec<Option<OsString>> = Vec::new();
    let mut found = loop {
        if let Ok(found) = known.canonicalize() {
            break found;
        }
        let last = match known.components().next_back() {
            Some(Component::Normal(name)) => Some(name.to_owned()),
            _ => None,
        };
        unknown.push(last);
        // `..` is a part of its own: its parent is the path before it.
        let parent = known.parent().map(Path::to_owned);
        known = parent.with_context(context)?;
    };
    for part in unknown.into_iter().rev() {
        match part {
            Some(name) => found.push(name),
            None => drop(found.pop()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_one_another_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
        let are_apart = |state: &str, other: &str| {
            ensure_apart(&[("--state", &path(state))], &[("--out", &path(other))]).is_ok()
        };
        for (state, other) in [
            ("real", "real"),
            ("real", "real/"),
            ("real/", "real/a/b"),
            ("link", "real/a"),
            ("real", "link/a"),
            ("new", "new/a"),
            ("new", "other/../new/a"),
            (".", "real"),
        ] {
            assert!(!are_apart(state, other), "{state} {other}");
        }
        for (state, other) in [("real", "real2"), ("new", "new.json"), ("real/a", "real")] {
            assert!(are_apart(state, other), "{state} {other}");
        }
        let both = [("--state", &*path("a/b")), ("--out", &*path("a"))];
        let error = ensure_apart(&both, &[]).unwrap_err().to_string();
        assert!(error.starts_with("--state ") && error.contains("is in --out "), "{error}");
    }
}
