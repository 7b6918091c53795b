//! Files and folders on disk. Every removal and every replacement of the program is here.
//!
//! Only what Night Sweep made is removed or replaced: folders that carry its mark ([`MARK`]), and
//! in them only the names that it writes ([`Kind`]).

mod apart;
mod owned;
mod read;
mod replace;

pub use apart::{ensure_apart, plain};
pub use owned::{Kind, MARK, claim, clear, ensure_ours, ensure_replaceable, listed};
pub use read::{
    LARGE_BYTES, RUN_BYTES, SMALL_BYTES, open, open_dir, open_to_append, read, read_text,
    read_unzipped,
};
pub use replace::{replace, replace_unless};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How the names of files and folders begin that are being written.
const PREFIX: &str = ".night-sweep-";

/// A name that can be a folder's: nothing in it leads elsewhere or hides.
pub fn plain_name(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_plain =
        (1..=128).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain);
    match is_plain {
        true => Ok(()),
        false => {
            Err("1 to 128 letters, digits, `.`, `_` and `-`, not starting with a dot".to_owned())
        }
    }
}

/// The context of an error of the disk: `cannot read spec.yaml`.
pub fn cannot<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce() -> String + 'a {
    move || format!("cannot {verb} {}", path.display())
}

/// Writes a file whole or not at all, in place of the one of this name.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(cannot("write", path))
}

/// As [`write_atomically`], but only in place of a file whose contents say that it is ours.
pub fn replace_file(path: &Path, bytes: &[u8], is_ours: impl Fn(&[u8]) -> bool) -> Result<()> {
    ensure_replaceable_file(path, is_ours)?;
    write_atomically(path, bytes)
}

pub fn ensure_replaceable_file(path: &Path, is_ours: impl Fn(&[u8]) -> bool) -> Result<()> {
    not_a_link(path)?;
    match read(path, RUN_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(cannot("read", path)),
        Ok(found) => {
            ensure!(is_ours(&found), "{}: night-sweep did not write it: move it", path.display());
            Ok(())
        }
    }
}

pub fn remove_if(path: &Path, is_ours: impl Fn(&[u8]) -> bool) -> Result<()> {
    ensure_replaceable_file(path, is_ours)?;
    fs::remove_file(path).with_context(cannot("remove", path))
}

/// Removes a file that this process has created or locked.
pub fn remove_own(path: &Path) -> std::io::Result<()> {
    fs::remove_file(path)
}

/// Gives a file of this process its final name, unless there is a file of that name.
pub fn rename_own(new: &Path, path: &Path) -> std::io::Result<()> {
    // Unlike a new name, a second one never takes the place of a file.
    match fs::hard_link(new, path) {
        Ok(()) => fs::remove_file(new),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) if path.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        // A file system without second names.
        Err(_) => fs::rename(new, path),
    }
}

/// What is in a JSON file; none if there is none. One that cannot be read is said to be `broken`.
pub fn read_json<T: DeserializeOwned>(path: &Path, broken: &str) -> Result<Option<T>> {
    match read(path, LARGE_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is {broken}: remove it", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(cannot("read", path)),
    }
}

/// Refuses a symbolic link: what is written there would end up elsewhere.
pub fn not_a_link(path: &Path) -> Result<()> {
    ensure!(
        !path.is_symlink(),
        "{} is a symbolic link, and what is written there would end up elsewhere: remove it",
        path.display()
    );
    Ok(())
}

pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(cannot("write", path))
}

pub fn make_dir(path: &Path) -> Result<PathBuf> {
    fs::create_dir(path).with_context(cannot("create", path))?;
    Ok(path.to_owned())
}

/// Makes the names in a folder last through a power failure.
pub fn sync_dir(path: &Path) -> Result<()> {
    open_dir(path).and_then(|dir| dir.sync_all()).with_context(cannot("sync", path))
}

#[cfg(test)]
mod tests;
