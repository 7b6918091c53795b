//! A run in several processes: one that was stopped or killed goes on, and one whose GPU was lost
//! to it starts anew.

use super::list::{List, say_not_begun};
use crate::device::Device;
use crate::journal::FILE_NAME;
use crate::journal::home::{criterion_home, runs_folder};
use crate::journal::merge::differences;
use crate::journal::record::{Failure, Header};
use crate::measure::fault::Fault;
use crate::process::child::RUN_LIST;
use crate::process::executable::this_program;
use crate::process::exit::TRY_AGAIN;
use crate::process::signals::Signals;
use crate::render;
use crate::run::settings::{LOST_CASE, Settings};
use crate::terminal::say;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::Command;

const FAULT: &str = "NIGHT_SWEEP_FAULT";

/// Refuses to mix two runs in one journal: the spec entry, the executable and the device have to be
/// those of its start.
pub fn ensure_same_run(old: &Header, new: &Header) -> Result<()> {
    let mut differs = differences(old, new);
    let shards = [old, new].map(|header| header.shard.clone().unwrap_or("none".to_owned()));
    let uuids = [old, new].map(|header| header.env["gpu"]["uuid"].to_string());
    let faults = [old, new].map(|header| header.env["settings"][FAULT].to_string());
    for (what, [a, b]) in [("the shard", shards), ("the GPU's uuid", uuids), (FAULT, faults)] {
        // A GPU that vanished may be back.
        if a != b && !(what == FAULT && a.starts_with("\"vanished:") && b == "null") {
            differs.push(format!("{what} ({a} and {b})"));
        }
    }
    let [a, b] = [old, new].map(|header| header.cases.iter().map(|case| &case.id));
    if !a.clone().eq(b.clone()) {
        differs.push(format!("the cases ({} and {}; by another filter?)", a.len(), b.len()));
    }
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
        "{0} would be two runs in one; these differ from its start: {1}. Go \
         on with what it was started with{how}, or start a new run without NIGHT_SWEEP_RESUME; \
         `night-sweep report {0}` reports what it has",
        old.run_id,
        differs.join(", ")
    );
    Ok(())
}

/// The run whose case left the device useless to its process, and that case.
pub struct Lost {
    pub run_id: String,
    pub failure: Failure,
}

/// In a process to which the device is useless: the same once more, for the experiments of `left`.
/// The first of them is the run that `lost` the device, if one did.
///
/// The case goes along unrecorded. The new process records it once it has the device: without one,
/// no case is to blame.
pub fn start_anew(
    left: &List,
    lost: Option<&Lost>,
    device: &Device,
    settings: &Settings,
    signals: Option<&Signals>,
) -> Result<u8> {
    let mut command = Command::new(this_program()?);
    let mut arguments = std::env::args_os();
    command
        .arg0(arguments.next().unwrap_or_default())
        .args(arguments)
        .env(RUN_LIST, left.to_json())
        // Not `auto`, which would take the CPU once the GPU is gone.
        .env("NIGHT_SWEEP_DEVICE", device.name())
        .env_remove("NIGHT_SWEEP_RUN_ID")
        .env_remove("NIGHT_SWEEP_RESUME")
        .env_remove(LOST_CASE);
    if let Some(Lost { run_id, failure }) = lost {
        command.env("NIGHT_SWEEP_RESUME", run_id).env(LOST_CASE, json!(failure).to_string());
    }
    if let Some(Fault::Vanished { .. }) = settings.fault {
        command.env("CUDA_VISIBLE_DEVICES", "");
    }
    // Nobody listens where nothing is measured.
    let error = match signals {
        Some(signals) => signals.exec(&mut command),
        None => command.exec(),
    };
    if let Some(asked) = signals.and_then(Signals::asked) {
        say(&format!("night-sweep: stopped by {} before that", asked.by));
        say_not_begun(&left.names);
        return Ok(asked.code);
    }
    Err(error).with_context(|| match lost {
        Some(Lost { run_id, .. }) => format!("go on by hand with NIGHT_SWEEP_RESUME={run_id}"),
        None => format!("these are left to run: {}", left.names.join(", ")),
    })
}

/// Where [`start_anew`] ends if the new process does not get the device, for `reason`: with a
/// report of what there is.
pub fn end_without_device(run_id: &str, reason: &str, settings: &Settings) -> Result<u8> {
    say(&format!(
        "night-sweep: the GPU is gone ({reason}). Nothing measured before is lost: see to the GPU \
         (`nvidia-smi`, the kernel's log), then go on with NIGHT_SWEEP_RESUME={run_id}"
    ));
    if let Some(List { names, .. }) = &settings.list {
        say_not_begun(names.get(1..).unwrap_or_default());
    }
    if settings.report {
        let journal = runs_folder().join(run_id).join(FILE_NAME);
        let written = render::write(&journal, &criterion_home(), &settings.results_root)?;
        render::terminal::print_report(&written)?;
    }
    Ok(TRY_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;

    fn header() -> Header {
        let config = json!({"type": "gemm_k_dense", "measure": 200});
        let env = json!({
            "gpu": {"name": "NVIDIA H200", "uuid": "GPU-1", "driver_version": "580"},
            "software": {"git_revision": "aaa", "git_dirty": false, "executable_sha256": "1"},
        });
        Header { device: "cuda:0".to_owned(), config, env, ..journal::tests::header() }
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
        ensure_same_run(&header(), &again).unwrap();
        let mut vanished = header();
        vanished.env["settings"] = json!({FAULT: "vanished:K8"});
        ensure_same_run(&vanished, &again).unwrap();

        let gpu = |key: &str, value: &str| refusal(|h| h.env["gpu"][key] = value.into());
        for (line, says) in [
            (
                refusal(|h| h.config["measure"] = 100.into()),
                "measure of the spec entry (200 and 100)",
            ),
            (gpu("uuid", "GPU-2"), "the GPU's uuid (\"GPU-1\" and \"GPU-2\")"),
            (gpu("name", "A100"), "the GPU (\"NVIDIA H200\" and \"A100\")"),
            (gpu("driver_version", "590"), "the driver (\"580\" and \"590\")"),
            (refusal(|h| h.device = "cpu".to_owned()), "the device (\"cuda\" and \"cpu\")"),
            (refusal(|h| h.shard = Some("1/2".to_owned())), "the shard (none and 1/2)"),
            (refusal(|h| h.seed = 7), "the seed (42 and 7)"),
            (
                refusal(|h| h.env["settings"] = json!({FAULT: "slow:K8:3"})),
                "NIGHT_SWEEP_FAULT (null and \"slow:K8:3\")",
            ),
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
        for part in [
            "the executable (sha256) (\"1\" and \"2\")",
            "the git revision (\"aaa\" and \"bbb\")",
            "`git checkout aaa`, and build",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
