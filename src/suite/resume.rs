//! A run in several processes: one that was stopped or killed goes on, and one whose GPU was lost to it starts anew.

use super::hush::say;
use super::stop::TRY_AGAIN;
use crate::criterion_home::{criterion_home, runs_folder};
use crate::device::Device;
use crate::env::executable;
use crate::fault::Fault;
use crate::journal::FILE_NAME;
use crate::merge::differences;
use crate::record::{Failure, Header};
use crate::report;
use crate::settings::{LOST_CASE, Settings};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Refuses to mix two runs in one journal: the spec entry, the executable and the device have to be those of its start.
pub fn ensure_same_run(old: &Header, new: &Header) -> Result<()> {
    let mut differs = differences(old, new);
    let mut compare = |what: &str, is_same: bool, details: String| {
        if !is_same {
            differs.push(format!("{what}{details}"));
        }
    };
    let shard = |header: &Header| header.shard.clone().unwrap_or_else(|| "none".to_owned());
    let (a, b) = (shard(old), shard(new));
    compare("the shard", a == b, format!(" ({a} and {b})"));
    let uuid = |header: &Header| header.env["gpu"]["uuid"].clone();
    let (a, b) = (uuid(old), uuid(new));
    compare("the GPU's uuid", a == b, format!(" ({a} and {b})"));
    let ids = |header: &Header| header.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
    let (a, b) = (ids(old), ids(new));
    compare("the cases", a == b, format!(" ({} and {}; by another filter?)", a.len(), b.len()));
    ensure!(
        differs.is_empty(),
        "cannot resume {0}, which would be two runs in one; these differ from its start: {1}. Go on with what it was \
         started with, or start a new run without NIGHT_SWEEP_RESUME; `night-sweep report {0}` reports what it has",
        old.run_id,
        differs.join(", ")
    );
    Ok(())
}

/// After an error that leaves the device useless to this process: the same once more, for what is left of the run.
///
/// The case goes along unrecorded. The new process records it once it has the device: without one, no case is to blame.
pub fn start_anew(
    run_id: &str,
    device: &Device,
    lost: &Failure,
    settings: &Settings,
) -> Result<ExitCode> {
    let what = match device {
        Device::Cpu => "nothing can be launched any more",
        Device::Cuda(_) => "the CUDA context is lost",
    };
    say(&format!("night-sweep: {what}; starting anew for the remaining cases"));
    let mut command = Command::new(executable()?);
    let mut arguments = std::env::args_os();
    command
        .arg0(arguments.next().unwrap_or_default())
        .args(arguments)
        .env_remove("NIGHT_SWEEP_RUN_ID")
        .env("NIGHT_SWEEP_RESUME", run_id)
        // Not `auto`, which would take the CPU once the GPU is gone.
        .env("NIGHT_SWEEP_DEVICE", device.name())
        .env(LOST_CASE, json!(lost).to_string());
    if let Some(Fault::Vanished { .. }) = settings.fault {
        command.env("CUDA_VISIBLE_DEVICES", "");
    }
    let error = command.exec();
    Err(error).with_context(|| format!("go on by hand with NIGHT_SWEEP_RESUME={run_id}"))
}

/// Where [`start_anew`] ends if the new process does not get the device, for `reason`: with a report of what there is.
///
/// # Errors
/// If that cannot be written.
pub fn end_without_device(run_id: &str, reason: &str, settings: &Settings) -> Result<ExitCode> {
    say(&format!(
        "night-sweep: the GPU is gone ({reason}). Nothing measured before is lost: see to the GPU (`nvidia-smi`, the \
         kernel's log), then go on with NIGHT_SWEEP_RESUME={run_id}"
    ));
    if settings.report {
        let journal = runs_folder().join(run_id).join(FILE_NAME);
        let written = report::write(&journal, &criterion_home(), &settings.results_root)?;
        report::terminal::print_report(&written)?;
    }
    Ok(ExitCode::from(TRY_AGAIN))
}
