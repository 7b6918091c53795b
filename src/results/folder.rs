//! The files of a run folder that are read again: as a report writes them, or compressed as
//! published runs have them (`raw.json.gz`, `summary.json.gz`).

use std::path::{Path, PathBuf};

/// What is compressed in a published run.
pub const COMPRESSED: [&str; 2] = ["raw.json.gz", "summary.json.gz"];

/// Whether this is a folder with a raw.json, compressed or not.
pub fn is_run_folder(path: &Path) -> bool {
    raw(path).is_file()
}

/// Where the raw.json of a folder is; it need not be there.
pub fn raw(folder: &Path) -> PathBuf {
    plain_or_compressed(folder, "raw.json")
}

/// Where the summary.json of a folder is; it need not be there.
pub fn summary(folder: &Path) -> PathBuf {
    plain_or_compressed(folder, "summary.json")
}

/// The compressed file counts only where there is no other.
fn plain_or_compressed(folder: &Path, name: &str) -> PathBuf {
    let (plain, compressed) = (folder.join(name), folder.join(format!("{name}.gz")));
    let is_compressed = plain.symlink_metadata().is_err() && compressed.symlink_metadata().is_ok();
    if is_compressed { compressed } else { plain }
}
