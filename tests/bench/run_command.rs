//! `night-sweep run`: any experiment from the one binary.

use crate::run::assert_complete;
use crate::sandbox::{G3_IDS, Ran, SPEC, Sandbox, assert_contains, ended, finish, send, start};
use crate::support::{json, names, without_our_variables};
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
    assert_eq!(sandbox.run("one").header.seed, 7);
    // Criterion has its say once all is measured, in the order of the spec.
    let timed: Vec<_> = ran.stdout.lines().filter_map(|line| line.split(" time:").next()).collect();
    let ids: Vec<_> = timed.iter().map(|line| line.trim()).filter(|l| G3_IDS.contains(l)).collect();
    assert_eq!(ids, G3_IDS);

    assert_contains(
        &run(&sandbox, &["G3_gemm_k_dense", "--", "--save-baseline", "x", "K1"]).succeeded().stdout,
        &[": 3 points, 0 failed"],
    );
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
    assert_eq!(sandbox.reports().len(), 1);
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
        assert_contains(&run(&sandbox, arguments).ended_with(2).stderr, &[says]);
        sandbox.assert_untouched();
    }
}

#[test]
fn it_needs_no_repository() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = without_our_variables(env!("CARGO_BIN_EXE_night-sweep"));
    command.current_dir(empty.path()).env_remove("CARGO_TARGET_DIR");
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
    sandbox.write_spec(&SPEC.replace("[64, 68]", "[64, 512]"));
    let child = start(sandbox.night_sweep_command(&["run", "--all"]));
    let runs = sandbox.runs();
    let journal = || {
        let dir = std::fs::read_dir(&runs).ok()?.next()?.ok()?.path();
        std::fs::read_to_string(dir.join("journal.jsonl")).ok()
    };
    while !journal().is_some_and(|text| text.contains("\"line\":\"trial\"")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send("TERM", &child);
    ended(child).ended_with(75);
    assert_eq!(names(&sandbox.results()), ["S1"], "the second did not begin");
}
