//! `night-sweep summary`.

use crate::render::terminal;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Print the table of a run folder again.
#[derive(Args, Clone, Debug)]
pub struct SummaryArgs {
    /// The folder, as a bench prints it in its last line.
    folder: PathBuf,
}

/// Runs the command.
pub fn run(arguments: &SummaryArgs) -> Result<u8> {
    terminal::print(&terminal::table_of(&arguments.folder)?)?;
    Ok(0)
}
