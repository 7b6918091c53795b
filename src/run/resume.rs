//! A run in several processes: one that was stopped or killed goes on, and one whose GPU was lost
//! to it starts anew.

use crate::device::Device;
use crate::journal::FILE_NAME;
use crate::journal::home::{criterion_home, runs_folder};
use crate::journal::merge::differences;
use crate::journal::record::{Failure, Header};
use crate::measure::fault::Fault;
use crate::process::exit::TRY_AGAIN;
use crate::render;
use crate::run::env::executable;
use crate::run::settings::{LOST_CASE, Settings};
use crate::terminal::say;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Refuses to mix two runs in one journal: the spec entry, the executable and the device have to be
/// those of its start.
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
    let (was, is) = (&old.env["software"], &new.env["software"]);
    let how = match was["git_revision"].as_str() {
        Some(revision)
            if was["git_revision"] != is["git_revision"] && was["git_dirty"] == false =>
        {
            format!(" (`git checkout {revision}`, and build)")
        }
        _ => String::new(),
    };
    ensure!(
        differs.is_empty(),
        "cannot resume {0}, which would be two runs in one; these differ from its start: {1}. Go on with what it was \
         started with{how}, or start a new run without NIGHT_SWEEP_RESUME; `night-sweep report {0}` reports what it has",
        old.run_id,
        differs.join(", ")
    );
    Ok(())
}

/// After an error that leaves the device useless to this process: the same once more, for what is
/// left of the run.
///
/// The case goes along unrecorded. The new process records it once it has the device: without one,
/// no case is to blame.
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

/// Where [`start_anew`] ends if the new process does not get the device, for `reason`: with a
/// report of what there is.
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
        let written = render::write(&journal, &criterion_home(), &settings.results_root)?;
        render::terminal::print_report(&written)?;
    }
    Ok(ExitCode::from(TRY_AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::SCHEMA_VERSION;
    use crate::measure::record::{Protocol, ProtocolKind};

    fn header() -> Header {
        Header {
            schema_version: SCHEMA_VERSION.to_owned(),
            run_id: "night".to_owned(),
            group: "G3".to_owned(),
            experiment: "G3_x".to_owned(),
            config: json!({"type": "gemm_k_dense", "measure": 200}),
            device: "cuda:0".to_owned(),
            seed: 42,
            protocol: Protocol { kind: ProtocolKind::Standard, warmup: 1, measure: 200, trials: 3 },
            shard: None,
            sweep: Vec::new(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            env: json!({
                "gpu": {"name": "NVIDIA H200", "uuid": "GPU-1", "driver_version": "580"},
                "software": {"git_revision": "aaa", "git_dirty": false, "executable_sha256": "1"},
            }),
            calibration: None,
            cases: Vec::new(),
        }
    }

    fn refusal(change: impl Fn(&mut Header)) -> String {
        let mut new = header();
        change(&mut new);
        ensure_same_run(&header(), &new).unwrap_err().to_string()
    }

    #[test]
    fn only_the_same_entry_build_and_device_go_on_with_a_run() {
        let mut again = header();
        // The same card under another number, on another day.
        again.device = "cuda:3".to_owned();
        again.started_at = "2026-01-02T00:00:00Z".to_owned();
        again.calibration = None;
        ensure_same_run(&header(), &again).unwrap();

        for (line, says) in [
            (
                refusal(|h| h.config["measure"] = 100.into()),
                "measure of the spec entry (200 and 100)",
            ),
            (
                refusal(|h| h.env["gpu"]["uuid"] = "GPU-2".into()),
                "the GPU's uuid (\"GPU-1\" and \"GPU-2\")",
            ),
            (
                refusal(|h| h.env["gpu"]["name"] = "A100".into()),
                "the GPU (\"NVIDIA H200\" and \"A100\")",
            ),
            (
                refusal(|h| h.env["gpu"]["driver_version"] = "590".into()),
                "the driver (\"580\" and \"590\")",
            ),
            (refusal(|h| h.device = "cpu".to_owned()), "the device (\"cuda\" and \"cpu\")"),
            (refusal(|h| h.shard = Some("1/2".to_owned())), "the shard (none and 1/2)"),
            (refusal(|h| h.seed = 7), "the seed (42 and 7)"),
        ] {
            assert!(line.contains(says) && !line.contains("git checkout"), "{line}");
        }
    }

    #[test]
    fn after_a_pull_it_says_which_revision_goes_on() {
        let pulled = |h: &mut Header| {
            h.env["software"]["git_revision"] = "bbb".into();
            h.env["software"]["executable_sha256"] = "2".into();
        };
        let line = refusal(pulled);
        for part in
            ["the executable (sha256) (\"1\" and \"2\")", "the git revision (\"aaa\" and \"bbb\")"]
        {
            assert!(line.contains(part), "{line}");
        }
        assert!(line.contains("`git checkout aaa`, and build"), "{line}");
    }
}
