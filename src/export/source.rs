//! A run as it is read from its folder.

use crate::files;
use crate::results::raw::Raw;
use crate::results::read;
use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;
use std::path::{Path, PathBuf};

pub struct Source {
    pub raw: Raw,
    /// Where its env.json is.
    env: PathBuf,
}

/// What env.json says of the device and the libraries.
#[derive(Deserialize)]
pub struct Env {
    /// None on the CPU.
    pub gpu: Option<Gpu>,
    pub libraries: IndexMap<String, Option<String>>,
}

#[derive(Deserialize)]
pub struct Gpu {
    pub compute_capability: String,
    pub driver_version: Option<String>,
}

/// Reads a run folder, or its raw.json; either may be compressed.
pub fn read(run: &Path) -> Result<Source> {
    let raw = read::raw(run)?;
    let env = if run.is_dir() { run.join("env.json") } else { run.with_file_name("env.json") };
    Ok(Source { raw, env })
}

impl Source {
    pub fn env(&self) -> Result<Env> {
        let file = self.env.display();
        let bytes = files::read(&self.env, files::LARGE_BYTES).with_context(|| {
            format!("cannot read {file}: the versions behind a run are in its env.json")
        })?;
        serde_json::from_slice(&bytes).with_context(|| format!("{file} is no env.json of a run"))
    }
}
