//! Where a spec comes from: a file, or this program.

use super::error::{SpecError, invalid};
use crate::files;
use std::path::{Path, PathBuf};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The specs of the repository, for a program that runs without it.
const GPU: (&str, &str) = ("night_sweep.yaml", include_str!("../../experiments/night_sweep.yaml"));
const CPU: (&str, &str) =
    ("night_sweep_cpu.yaml", include_str!("../../experiments/night_sweep_cpu.yaml"));

#[derive(Clone, Debug)]
pub struct Source {
    /// For messages; of a built-in spec, where it lies in the repository.
    pub path: PathBuf,
    pub text: String,
    pub is_file: bool,
}

impl Source {
    /// The spec that a bench takes: `named`, or else that of the device. This lies in
    /// `experiments/` here, where cargo runs a bench, or else is built in.
    pub fn of(named: Option<&Path>, is_cpu: bool) -> Result<Source, SpecError> {
        let (name, built_in) = if is_cpu { CPU } else { GPU };
        let here = Path::new("experiments").join(name);
        match named {
            None if !here.exists() => {
                Ok(Source { path: here, text: built_in.to_owned(), is_file: false })
            }
            _ => {
                let path = named.unwrap_or(&here);
                Ok(Source { path: path.to_owned(), text: read(path)?, is_file: true })
            }
        }
    }
}

pub(super) fn read(path: &Path) -> Result<String, SpecError> {
    // The published spec is a fiftieth of the limit.
    let bytes = files::read(path, files::SMALL_BYTES)
        .map_err(|reason| SpecError::Unreadable { path: path.to_owned(), reason })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let text = String::from_utf8_lossy(valid);
        let column = text.chars().rev().take_while(|&c| c != '\n').count();
        invalid(path, (text.matches('\n').count() + 1, column + 1), "not UTF-8 text")
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}
