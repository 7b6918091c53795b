//! Files of specs: where they lie, and their text.

use super::error::{SpecError, invalid};
use std::fs::File;
use std::io::{Error, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read: the published spec is a fiftieth of it.
const MAX_BYTES: u64 = 1_000_000;

/// Where a spec of the repository lies: in `experiments/` here, where cargo runs a bench, or else
/// where this was built.
pub fn default_spec(name: &str) -> Result<PathBuf, SpecError> {
    let here = Path::new("experiments").join(name);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(&here);
    [&here, &built].into_iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let reason = "run from the repository, or name a file with NIGHT_SWEEP_SPEC";
        SpecError::Unreadable { path: here.clone(), reason: Error::other(reason) }
    })
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, SpecError> {
    let mut bytes = Vec::new();
    // A byte more than is allowed tells that there are too many, even of a file without an end.
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .and_then(|read| match read as u64 > MAX_BYTES {
            true => Err(Error::other("it is larger than 1 MB, and no spec")),
            false => Ok(()),
        })
        .map_err(|reason| SpecError::Unreadable { path: path.to_owned(), reason })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let text = String::from_utf8_lossy(valid);
        let column = text.chars().rev().take_while(|&c| c != '\n').count();
        invalid(path, (text.matches('\n').count() + 1, column + 1), "not UTF-8 text")
    })
}
