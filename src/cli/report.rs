use crate::journal::home::criterion_home;
use crate::journal::runs;
use crate::render;
use crate::terminal::{print, say, text};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write the run folder of a journal again, and print its table.
#[derive(Args)]
pub struct ReportArgs {
    /// A run id, a journal, the folder of one or of a report; the newest run if absent.
    #[arg(conflicts_with = "index")]
    run: Option<String>,
    /// Write index.html over all runs there are instead.
    #[arg(long)]
    index: bool,
    /// With --index: published points to draw beside the runs, as
    /// experiments/reference/a100_published.yaml.
    #[arg(long, requires = "index")]
    reference: Option<PathBuf>,
    /// Where run folders are written.
    #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
    results_root: PathBuf,
}

pub fn run(arguments: &ReportArgs) -> Result<u8> {
    let ReportArgs { run, index, reference, results_root } = arguments;
    if *index {
        return write_index(results_root, reference.as_deref());
    }
    let journal = match run {
        None => runs::newest()?,
        Some(run) => runs::journal_of(run)?,
    };
    write(&journal, results_root)
}

/// Writes the report of a journal; its folder is the last line printed.
pub(super) fn write(journal: &Path, results_root: &Path) -> Result<u8> {
    let written = render::write(journal, &criterion_home(), results_root)?;
    render::terminal::print_report(&written)?;
    Ok(0)
}

fn write_index(results_root: &Path, reference: Option<&Path>) -> Result<u8> {
    let index = render::index::write(results_root, reference)?;
    for broken in &index.broken {
        say(&format!("night-sweep: left out: {broken}"));
    }
    print(&format!("{} runs: {}", index.runs, text::path(&index.path)))?;
    Ok(0)
}
