//! `night-sweep run`: any experiment from the one binary.

use crate::run::assert_complete;
use crate::sandbox::{
    G3_IDS, Ran, SPEC, Sandbox, TRIALS, assert_contains, assert_each_once, ended, finish, send,
    start,
};
use crate::support::{json, names, without_our_variables};
use night_sweep::device::cuda;
use night_sweep::journal::Run;
use night_sweep::journal::record::Status;
use night_sweep::measure::record::Calibration;
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

const BOTH: [&str; 2] = ["S1_sdpa_dense_sweep", "G3_gemm_k_dense"];

/// The ids of the runs of each of the two, in the order in which they were started.
fn run_ids(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let all = names(&sandbox.runs());
    BOTH.map(|entry| all.iter().filter(|id| id.ends_with(entry)).cloned().collect()).to_vec()
}

/// The run of each of the two.
fn both_runs(sandbox: &Sandbox) -> [Run; 2] {
    let ids = run_ids(sandbox);
    assert!(ids.iter().all(|ids| ids.len() == 1), "{ids:?}");
    [0, 1].map(|which| sandbox.run(&ids[which][0]))
}

#[test]
fn several_and_all_run_in_one_process_one_after_the_other() {
    for arguments in [&["--all"][..], &BOTH] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.night_sweep_command(&[&["run"], arguments].concat());
        if cuda::present().is_err() {
            command.env("NIGHT_SWEEP_DEVICE", "auto");
        }
        let ran = finish(command).succeeded();
        for group in ["S1", "G3"] {
            let reports = names(&sandbox.results().join(group));
            assert_eq!(reports.len(), 1, "{arguments:?}");
            assert_complete(&sandbox, &sandbox.results().join(group).join(&reports[0]));
        }
        if cuda::present().is_err() {
            assert_eq!(ran.stderr.matches("measuring the CPU").count(), 1, "{}", ran.stderr);
        }
        for run in both_runs(&sandbox) {
            assert_each_once(&run);
            assert_eq!(run.starts.len(), 1);
            // What the process was told is the same in both.
            let list = run.header.env["settings"]["NIGHT_SWEEP_RUN_LIST"].as_str().unwrap();
            assert_contains(list, &BOTH);
        }
    }
}

#[test]
fn entries_of_one_type_are_a_run_each() {
    let sandbox = Sandbox::new();
    let g3 = SPEC.split_once("  G3_gemm_k_dense:").unwrap().1;
    sandbox.write_spec(&format!("{SPEC}  wider:{}", g3.replace("N: 16", "N: 32")));
    run(&sandbox, &["G3_gemm_k_dense", "wider"]).succeeded();
    assert_eq!(sandbox.reports().len(), 2);
    for run_id in names(&sandbox.runs()) {
        assert_each_once(&sandbox.run(&run_id));
    }
    let groups = names(&sandbox.criterion_home().join("G3"));
    assert!(groups.iter().any(|group| group == "M16_N32_fp16"), "{groups:?}");
}

#[test]
fn one_that_cannot_run_keeps_no_other_from_it_and_has_the_exit_code() {
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--", "K8$"]).ended_with(2);
    assert_contains(&ran.stderr, &["no case of S1_sdpa_dense_sweep"]);
    assert_eq!(sandbox.reports().len(), 1);

    // A process that goes on knows of it.
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--fault", "sticky:/K10", "--", "K"]).ended_with(2);
    assert_eq!(ran.stderr.matches("no case of S1_sdpa_dense_sweep").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("starting anew").count(), 1, "{}", ran.stderr);
    assert_eq!(sandbox.reports().len(), 1);
}

#[test]
fn after_a_lost_device_a_new_process_measures_the_rest_and_what_follows() {
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--fault", "sticky:/d66"]).succeeded();
    assert_eq!(ran.stderr.matches("starting anew").count(), 1, "{}", ran.stderr);
    assert_contains(&ran.stdout, &[": 5 points, 1 failed", ": 5 points, 0 failed"]);
    let [first, second] = both_runs(&sandbox);
    assert_eq!((first.starts.len(), first.trials.len()), (2, 4 * TRIALS));
    assert_eq!(first.end.unwrap().status, Status::Complete);
    assert_eq!(second.starts.len(), 1);
    assert_each_once(&second);

    // In each of them, the last case of all too.
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--fault", "sticky:1"]).succeeded();
    assert!(ran.stderr.matches("starting anew").count() > 2, "{}", ran.stderr);
    for run in both_runs(&sandbox) {
        assert_eq!(run.end.unwrap().status, Status::Complete);
    }

    // Where nothing is kept of a case, what follows has a device all the same.
    let sandbox = Sandbox::new();
    let ran = run(&sandbox, &["--all", "--fault", "sticky:/d66", "--", "--test"]).ended_with(1);
    assert_eq!(ran.stderr.matches("starting anew").count(), 1, "{}", ran.stderr);
    assert_contains(&ran.stdout, &["Testing G3/M16_N16_fp16/K12", "FAILED"]);
    assert!(!ran.stdout.contains("FAILED G3"), "{}", ran.stdout);
}

/// Criterion panics where a baseline is gone that it was to compare with.
#[test]
fn a_panic_costs_one_experiment() {
    let sandbox = Sandbox::new();
    run(&sandbox, &["--all", "--", "--save-baseline", "x"]).succeeded();
    // Both: a new run of the same second would have the name of a report that is there.
    std::fs::remove_dir_all(sandbox.runs()).unwrap();
    std::fs::remove_dir_all(sandbox.results()).unwrap();
    let child = start(sandbox.night_sweep_command(&["run", "--all", "--", "--baseline", "x"]));
    while !sandbox.runs().exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let group = sandbox.criterion_home().join("S1/b1_s16_h1_fp16");
    for case in names(&group) {
        std::fs::remove_dir_all(group.join(case).join("x")).unwrap();
    }
    let ran = ended(child).ended_with(101);
    assert_contains(&ran.stderr, &["Baseline 'x' must exist", "starting anew", "experiments"]);
    let [first, second] = both_runs(&sandbox);
    assert_eq!((first.trials.len(), first.end), (5 * TRIALS, None));
    assert_each_once(&second);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn on_a_gpu_it_is_calibrated_once_and_a_lost_context_costs_one_case() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("{M: 16, N: 16}", "{M: 512, N: 512}"));
    let arguments = ["--all", "--device", "cuda", "--burn-in", "0"];
    run(&sandbox, &arguments).succeeded();
    let [first, second] = both_runs(&sandbox).map(|run| run.header.calibration.unwrap());
    assert!(first.wall_s.is_some());
    assert!(second.start.is_some_and(|start| start.wait_s > 0.0));
    assert_eq!(second, Calibration { wall_s: None, start: second.start, ..first });

    std::fs::remove_dir_all(sandbox.runs()).unwrap();
    let ran = run(&sandbox, &[&arguments[..], &["--fault", "sticky:/d64"]].concat()).succeeded();
    assert_eq!(ran.stderr.matches("the CUDA context is lost").count(), 1, "{}", ran.stderr);
    let [first, second] = both_runs(&sandbox);
    assert_eq!((first.starts.len(), first.failures.len()), (2, 1));
    assert_each_once(&second);
}

#[test]
fn bad_input_is_a_line_and_measures_nothing() {
    let sandbox = Sandbox::new();
    for (arguments, says) in [
        (&["nosuch"][..], "nosuch"),
        (&["--spec", "nosuch.yaml", "--all"], "nosuch.yaml: cannot be read"),
        (&["--all", "--run-id", "x"], "give one experiment"),
        (&["--all", "--resume", "x"], "give one experiment"),
        (&["G3_gemm_k_dense", "nosuch"], "nosuch"),
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
    let ran = ended(child).ended_with(75);
    assert_contains(&ran.stderr, &["stopped by SIGTERM", "not begun: G3_gemm_k_dense"]);
    assert_eq!(names(&sandbox.results()), ["S1"], "the second did not begin");
}
