use super::report;
use crate::journal::merge::merge;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Join the shards of a sweep (NIGHT_SWEEP_SHARD) into one run, and report it.
#[derive(Args)]
pub struct MergeArgs {
    /// The run ids of all shards, their journals, or the folders of these.
    #[arg(required = true)]
    shards: Vec<String>,
    /// Name of the merged run; default: YYYYMMDD_HHMMSS_EXPERIMENT.
    #[arg(long)]
    run_id: Option<String>,
    /// Where run folders are written.
    #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
    results_root: PathBuf,
}

pub fn run(arguments: &MergeArgs) -> Result<u8> {
    let journal = merge(&arguments.shards, arguments.run_id.as_deref())?;
    report::write(&journal, &arguments.results_root)
}
