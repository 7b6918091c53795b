//! `night-sweep run`: any experiment from the one binary.

use crate::run::assert_complete;
use crate::sandbox::{G3_IDS, Ran, Sandbox, finish};
use crate::support::{json, names};
use night_sweep::journal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    sandbox.night_sweep(&[&["run"], arguments].concat())
}

#[test]
fn it_is_the_bench() {
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["G3_gemm_k_dense", "--run-id", "one", "--seed", "7"]).succeeded();
    assert_eq!(ran.folder(), sandbox.results().join("G3/one"));
    assert_complete(&sandbox, &ran.folder());
    assert_eq!(journal::read(&sandbox.journal("one")).unwrap().header.seed, 7);
    // Criterion has its say once all is measured, in the order of the spec.
    let timed: Vec<_> = ran.stdout.lines().filter_map(|line| line.split(" time:").next()).collect();
    let ids: Vec<_> = timed.iter().map(|line| line.trim()).filter(|l| G3_IDS.contains(l)).collect();
    assert_eq!(ids, G3_IDS);

    let ran = run(&sandbox, &["G3_gemm_k_dense", "--", "--save-baseline", "x", "K1"]).succeeded();
    assert!(ran.stdout.contains(": 3 points, 0 failed"), "{}", ran.stdout);
    let group = sandbox.criterion_home().join("G3/M16_N16_fp16");
    assert!(group.join("K10/x").is_dir() && !group.join("K8/x").exists());
    let compared = run(&sandbox, &["G3_gemm_k_dense", "--", "--baseline", "x", "K1"]).succeeded();
    assert_eq!(compared.stdout.matches("change:").count(), 3, "{}", compared.stdout);
    let listed = run(&sandbox, &["G3_gemm_k_dense", "--", "--list"]).succeeded();
    let is_id = |line: &&str| line.ends_with(": benchmark");
    assert_eq!(listed.stdout.lines().filter(is_id).count(), G3_IDS.len(), "{}", listed.stdout);
}

#[test]
fn several_and_all_run_one_after_the_other() {
    for arguments in [&["--all"][..], &["S1_sdpa_dense_sweep", "G3_gemm_k_dense"]] {
        let sandbox = Sandbox::new();
        run(&sandbox, arguments).succeeded();
        for group in ["S1", "G3"] {
            assert_eq!(names(&sandbox.results().join(group)).len(), 1, "{arguments:?}");
        }
    }
    // One that cannot run does not keep the others from it, and has the exit code.
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--", "K8$"]);
    assert_eq!(ran.code, Some(2), "S1 has no case K8: {}", ran.stdout);
    assert_eq!(names(&sandbox.results().join("G3")).len(), 1);
}

#[test]
fn bad_input_is_a_line_and_measures_nothing() {
    let sandbox = Sandbox::new();
    for (arguments, says) in [
        (&["nosuch"][..], "nosuch"),
        (&["--spec", "nosuch.yaml", "--all"], "nosuch.yaml: cannot be read"),
        (&["--all", "--run-id", "x"], "give one experiment"),
        (&["G3_gemm_k_dense", "--device", "gpu"], "auto, cpu, cuda or cuda:N"),
        (&["G3_gemm_k_dense", "--shard", "0/0"], "SHARD"),
        (&["G3_gemm_k_dense", "--", "K107"], "no case"),
        (&["G3_gemm_k_dense", "--", "--nonsense"], "--nonsense"),
        (&["G3_gemm_k_dense", "--resume", "x"], "cannot resume x"),
    ] {
        let ran = run(&sandbox, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        sandbox.assert_untouched();
    }
}

#[test]
fn it_needs_no_repository() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_night-sweep"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NIGHT_SWEEP_") {
            command.env_remove(name);
        }
    }
    command.current_dir(empty.path()).env_remove("CRITERION_HOME").env_remove("CARGO_TARGET_DIR");
    command.args(["run", "S1_sdpa_dense_sweep", "--device", "cpu", "--", "d6[45]$"]);
    let ran = finish(command).succeeded();
    let folder = empty.path().join(ran.folder());
    let raw = json(&folder.join("raw.json"));
    assert!(!raw["measurements"].as_array().unwrap().is_empty(), "{}", ran.stdout);
    for file in ["report.html", "plots/s1_latency_vs_head_dim.png"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}

#[test]
fn a_signal_reaches_the_one_that_is_measured_and_ends_the_rest() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&crate::sandbox::SPEC.replace("[64, 68]", "[64, 512]"));
    let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_night-sweep")));
    command.args(["run", "--all"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let runs = sandbox.criterion_home().join("night-sweep");
    let journal = || {
        let dir = std::fs::read_dir(&runs).ok()?.next()?.ok()?.path();
        std::fs::read_to_string(dir.join("journal.jsonl")).ok()
    };
    while !journal().is_some_and(|text| text.contains("\"line\":\"trial\"")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(&sandbox.results()), ["S1"], "the second did not begin");
}
