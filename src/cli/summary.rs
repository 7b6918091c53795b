use crate::render::{stored, terminal};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Print the table of a run folder again.
#[derive(Args)]
pub struct SummaryArgs {
    /// The folder, as a bench prints it in its last line.
    folder: PathBuf,
}

pub fn run(arguments: &SummaryArgs) -> Result<u8> {
    terminal::print(&stored::table_of(&arguments.folder)?)?;
    Ok(0)
}
