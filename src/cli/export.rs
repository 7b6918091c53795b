use crate::export::{self, Format, source};
use crate::files;
use crate::terminal::{print, text};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write runs in a form that other programs read.
#[derive(Args)]
pub struct ExportArgs {
    /// Run folders, or their raw.json with env.json beside it, compressed or not; for JSON of one
    /// device.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    #[arg(long)]
    format: Format,
    /// Where to write it, in place of an earlier export only; `-` is standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
}

pub fn run(arguments: &ExportArgs) -> Result<u8> {
    let ExportArgs { runs, format, out } = arguments;
    let sources: Vec<_> = runs.iter().map(|run| source::read(run)).collect::<Result<_>>()?;
    let written = export::render(&sources, *format)?;
    if out == Path::new("-") {
        print(&written)?;
    } else {
        files::replace_file(out, written.as_bytes(), |found| export::is_ours(found, *format))?;
        print(&text::path(out))?;
    }
    Ok(0)
}
