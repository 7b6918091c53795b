//! A whole run: what it prints, and what it leaves behind.

use crate::sandbox::{G3_IDS, Ran, SPEC, Sandbox, TRIALS, bench, ended, finish, start};
use crate::support::{RUN_FOLDER, assert_valid, json, names};
use night_sweep::results::criterion_files;
use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_run_leaves_a_folder_and_criterions_files() {
    for (target, experiment, plots) in [
        ("s1_sdpa_dense", "S1_sdpa_dense_sweep", &["s1_latency_vs_head_dim"][..]),
        ("g3_gemm_k_dense", "G3_gemm_k_dense", &["g3_latency_vs_K", "g3_tflops_vs_K"]),
    ] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(bench(target));
        command.arg("--bench");
        assert_whole(&sandbox, &finish(command).succeeded(), experiment, plots);
    }
}

#[test]
fn the_adaptive_protocol_makes_two_trials_or_more_and_tells_criterion_of_all() {
    let sandbox = Sandbox::new();
    let adaptive = [("NIGHT_SWEEP_PROTOCOL", "adaptive")];
    let ran = sandbox.g3_with(&adaptive, &[]).succeeded();
    assert_valid(&ran.folder());
    let raw = ran.json("raw");
    assert_eq!(raw["metadata"]["status"], "complete");
    assert_eq!(raw["metadata"]["protocol"]["protocol"], "adaptive");
    assert_eq!(raw["config"]["protocol"], "adaptive", "{}", raw["config"]);
    for row in raw["measurements"].as_array().unwrap() {
        let trials = row["trials"].as_u64().unwrap();
        assert!((2..=5).contains(&trials), "{row}");
        let medians = row["trial_p50"].as_array().unwrap();
        assert_eq!(medians.len() as u64, trials);
        assert!(medians.iter().all(|median| median.as_f64().unwrap() > 0.0), "{row}");
        assert_eq!(row["total_measurements"], 10 * trials);
        // Its estimates are there: so its samples have our mean.
        assert!(row["criterion"]["mean_ms"].is_f64(), "{row}");
    }
    for unwanted in ["Warning", "Unable to complete", "panicked"] {
        assert!(!ran.stdout.contains(unwanted) && !ran.stderr.contains(unwanted), "{}", ran.stderr);
    }
}

#[test]
fn the_protocol_of_a_gate_takes_the_latency_alone() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("    trials: 2", "    trials: 2\n    protocol: gate"));
    let ran = sandbox.g3_with(&[], &[]).succeeded();
    assert_valid(&ran.folder());
    let raw = ran.json("raw");
    assert_eq!(raw["metadata"]["status"], "complete");
    assert_eq!(raw["metadata"]["protocol"]["protocol"], "gate");
    for row in raw["measurements"].as_array().unwrap() {
        assert_eq!((&row["trials"], &row["total_measurements"]), (&2.into(), &20.into()), "{row}");
        assert!(row.get("criterion").is_none(), "{row}");
    }
    assert!(!sandbox.criterion_home().join("G3").exists(), "Criterion got nothing");
}

fn assert_whole(sandbox: &Sandbox, ran: &Ran, experiment: &str, plots: &[&str]) {
    let folder = ran.folder();
    let group = sandbox.results().join(experiment.split('_').next().unwrap());
    assert_eq!(folder.parent().unwrap(), group);
    assert!(ran.run_id().ends_with(experiment), "{}", ran.run_id());
    assert_eq!(names(&folder), RUN_FOLDER, "and nothing else hidden");
    let plots: Vec<_> =
        plots.iter().flat_map(|p| [format!("{p}.png"), format!("{p}.svg")]).collect();
    assert_eq!(names(&folder.join("plots")), plots);
    assert_eq!(names(&group).len(), 1);
    assert_valid(&folder);
    assert_complete(sandbox, &folder);

    let table = format!("{experiment} on device: cpu (");
    let counts = format!("5 points, 0 failed, {TRIALS} trials");
    let is_first = |line: &str| line.starts_with(&table) && line.ends_with(&counts);
    assert!(ran.stdout.lines().any(is_first), "{}", ran.stdout);
    // Criterion is heard in the last trial, and in no other.
    assert_eq!(ran.stdout.matches(" time: ").count(), 5, "{}", ran.stdout);
    for unwanted in ["Warning", "ERROR", "Benchmarking", "panicked"] {
        assert!(!ran.stdout.contains(unwanted), "{}", ran.stdout);
        assert!(!ran.stderr.contains(unwanted), "{}", ran.stderr);
    }
}

/// Checks that every row has all trials, and that Criterion has the samples of all of them.
pub fn assert_complete(sandbox: &Sandbox, folder: &Path) {
    let raw = json(&folder.join("raw.json"));
    assert_eq!(raw["metadata"]["status"], "complete");
    let rows = raw["measurements"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let id = row["case_id"].as_str().unwrap();
        let trials = row["trials"].as_u64().unwrap();
        assert_eq!(row["trial_p50"].as_array().unwrap().len() as u64, trials, "{id}");
        assert_eq!(row["total_measurements"].as_u64(), Some(20 * trials), "{id}");
        assert_eq!(raw["config"]["trials"].as_u64(), Some(trials), "{id}");

        let seen = criterion_files::read(&sandbox.criterion_home(), id).unwrap().unwrap();
        assert_eq!(seen.id.full_id, id);
        assert_eq!(seen.sample.times.len() as u64, 10 * trials, "{id}");
        let mean_ns = row["timing"]["mean"].as_f64().unwrap() * 1e6;
        for criterions_ns in [seen.sample.mean_ns(), seen.estimates.mean.point_estimate] {
            assert!(
                (criterions_ns / mean_ns - 1.0).abs() < 1e-9,
                "{id}: {criterions_ns} ns to Criterion, {mean_ns} ns to us"
            );
        }
    }
}

#[test]
fn runs_started_together_have_different_ids() {
    let sandbox = Sandbox::new();
    // Different cases, for Criterion keeps the files of a case in one place.
    let start = |id: &&str| start(sandbox.g3_command(&["--exact", id]));
    let together: Vec<_> = G3_IDS[..4].iter().map(start).collect();
    let mut run_ids = HashSet::new();
    for child in together {
        let ran = ended(child).succeeded();
        assert_valid(&ran.folder());
        run_ids.insert(ran.run_id());
    }
    assert_eq!(run_ids.len(), 4, "{run_ids:?}");
    assert_eq!(sandbox.reports().len(), 4);
}

#[test]
#[cfg(target_os = "linux")]
fn the_host_needs_little_memory() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(bench("s1_sdpa_dense"));
    command.arg("--bench").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        // Absent once the process is a zombie; the peak of a living one only grows.
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(line) = line {
            peak_kib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(ended.success());
    assert!((1..1 << 20).contains(&peak_kib), "{peak_kib} KiB");
}
