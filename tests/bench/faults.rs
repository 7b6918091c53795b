//! What a run goes on after: an error that leaves the device useless, and whatever else made it
//! stop; and what it does not go on with: another build, another machine.

use crate::sandbox::{G3_IDS, SPEC, Sandbox, TRIALS, assert_contains, bench, finish};
use crate::support::assert_valid;
use night_sweep::device::cuda;
use night_sweep::journal;
use night_sweep::journal::record::Status;
use night_sweep::workload::error::ErrorKind;
use serde_json::json;
use std::fs;

const RUN_ID: &str = "faulty";

#[test]
fn after_a_sticky_error_a_new_process_measures_the_rest() {
    let sandbox = Sandbox::new();
    let variables = [("NIGHT_SWEEP_RUN_ID", RUN_ID), ("NIGHT_SWEEP_FAULT", "sticky:/K10")];
    let ran = sandbox.g3_with(&variables, &[]).succeeded();
    assert_eq!(ran.stderr.matches("starting anew").count(), 1, "{}", ran.stderr);
    assert_contains(&ran.stdout, &[": 5 points, 1 failed"]);
    let run = sandbox.run(RUN_ID);
    let failed: Vec<_> = run.failures.iter().map(|f| (&*f.case_id, f.error_kind)).collect();
    assert_eq!(failed, [(G3_IDS[2], ErrorKind::Cuda)]);
    assert_eq!(run.trials.len(), 4 * TRIALS);
    assert_eq!(run.end.unwrap().status, Status::Complete);
    assert_valid(&ran.folder());
    assert_eq!(ran.json("env")["starts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_processor_does_not_vanish() {
    let sandbox = Sandbox::new();
    let variable = [("NIGHT_SWEEP_FAULT", "vanished:K10")];
    sandbox.g3_with(&variable, &[]).refused_for(&["needs a CUDA GPU"]);
    sandbox.assert_untouched();
}

/// What a bench sets for the process that goes on after a lost context, on a machine that has no
/// GPU (any more).
#[test]
fn a_gpu_that_is_gone_blames_no_case() {
    if cuda::present().is_ok() {
        eprintln!("skipped: there is a GPU");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.g3_as(RUN_ID).succeeded();
    let before = fs::read(sandbox.journal(RUN_ID)).unwrap();
    let lost = json!({"case_id": G3_IDS[0], "trial": 1, "error_kind": "cuda", "error": "gone"})
        .to_string();
    let variables = [
        ("NIGHT_SWEEP_RESUME", RUN_ID),
        ("NIGHT_SWEEP_DEVICE", "cuda:0"),
        ("NIGHT_SWEEP_LOST_CASE", &*lost),
        ("NIGHT_SWEEP_RUN_LIST", r#"{"names":["G3_gemm_k_dense","S1_sdpa_dense_sweep"],"code":0}"#),
    ];
    let ran = sandbox.g3_with(&variables, &[]).ended_with(75);
    assert_contains(&ran.stderr, &["the GPU is gone", "nvidia-smi", "NIGHT_SWEEP_RESUME=faulty"]);
    assert_contains(&ran.stderr, &["not begun: S1_sdpa_dense_sweep"]);
    assert_eq!(fs::read(sandbox.journal(RUN_ID)).unwrap(), before);
    assert_valid(&ran.folder());
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_lost_context_costs_one_case() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("{M: 16, N: 16}", "{M: 512, N: 512}"));
    let variables = [
        ("NIGHT_SWEEP_DEVICE", "cuda"),
        ("NIGHT_SWEEP_BURN_IN", "0"),
        ("NIGHT_SWEEP_RUN_ID", RUN_ID),
        ("NIGHT_SWEEP_FAULT", "sticky:/K10"),
    ];
    let ran = sandbox.g3_with(&variables, &[]).succeeded();
    assert_eq!(ran.stderr.matches("the CUDA context is lost").count(), 1, "{}", ran.stderr);
    assert_contains(&ran.stdout, &[": 5 points, 1 failed"]);
    let run = sandbox.run(RUN_ID);
    assert_eq!((run.failures.len(), run.failures[0].error_kind), (1, ErrorKind::Cuda));
    assert!(run.failures[0].case_id.ends_with("/K10"), "{:?}", run.failures);
    assert!(run.failures[0].error.contains("CUDA_ERROR"), "{:?}", run.failures);
    assert_eq!((run.trials.len(), run.starts.len()), (4 * TRIALS, 2));
    assert_eq!(run.end.unwrap().status, Status::Complete);
    assert_valid(&ran.folder());
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_gpu_that_vanishes_ends_the_run_and_costs_no_case() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("{M: 16, N: 16}", "{M: 512, N: 512}"));
    let gpu = [("NIGHT_SWEEP_DEVICE", "cuda"), ("NIGHT_SWEEP_BURN_IN", "0")];
    let first = [("NIGHT_SWEEP_RUN_ID", RUN_ID), ("NIGHT_SWEEP_FAULT", "vanished:/K10")];
    let ran = sandbox.g3_with(&[&gpu[..], &first].concat(), &[]).ended_with(75);
    assert_contains(&ran.stderr, &["the GPU is gone"]);
    assert_valid(&ran.folder());
    assert_eq!(ran.json("raw")["metadata"]["status"], "partial");
    let stopped = sandbox.run(RUN_ID);
    assert!(stopped.failures.is_empty() && stopped.end.is_none());

    // It is back.
    let resumed = [&gpu[..], &[("NIGHT_SWEEP_RESUME", RUN_ID)]].concat();
    sandbox.g3_with(&resumed, &[]).succeeded();
    let run = sandbox.run(RUN_ID);
    assert_eq!(run.trials[..stopped.trials.len()], stopped.trials);
    assert_eq!((run.trials.len(), run.failures.len()), (5 * TRIALS, 0));
}

#[test]
fn a_slowdown_reaches_each_of_several_parts_and_no_other_case() {
    let sandbox = Sandbox::new();
    let slow = [("NIGHT_SWEEP_FAULT", "slow:/K9|/K11:1000")];
    let raw = sandbox.g3_with(&slow, &[]).succeeded().json("raw");
    let least = |id: &str| {
        let mut rows = raw["measurements"].as_array().unwrap().iter();
        rows.find(|row| row["case_id"] == id).unwrap()["timing"]["min"].as_f64().unwrap()
    };
    let [k8, k9, k10, k11, k12] = G3_IDS.map(least);
    let others = k8.max(k10).max(k12);
    assert!(k9.min(k11) > 3.0 * others, "{:?}", [k8, k9, k10, k11, k12]);
}

#[test]
fn each_start_is_recorded_with_its_job() {
    let sandbox = Sandbox::new();
    let start = |variable, count| {
        let slurm = [("SLURM_JOB_ID", "7"), ("SLURM_RESTART_COUNT", count)];
        sandbox.g3_with(&[&[(variable, RUN_ID)], &slurm[..]].concat(), &[]).succeeded()
    };
    start("NIGHT_SWEEP_RUN_ID", "0");
    start("NIGHT_SWEEP_RESUME", "1");
    let ran = start("NIGHT_SWEEP_RESUME", "2");
    assert_valid(&ran.folder());
    let env = ran.json("env");
    let starts = env["starts"].as_array().unwrap();
    let counts = starts.iter().map(|start| &start["slurm"]["SLURM_RESTART_COUNT"]);
    let counts: Vec<_> = counts.collect();
    assert_eq!(counts, ["0", "1", "2"]);
}

#[test]
fn another_build_or_machine_does_not_go_on_with_a_run() {
    let sandbox = Sandbox::new();
    sandbox.g3_with(&[("NIGHT_SWEEP_RUN_ID", RUN_ID)], &["K8$"]).succeeded();
    let resume = [("NIGHT_SWEEP_RESUME", RUN_ID)];

    // A byte behind the end of an executable changes what it is, and nothing that it does.
    let rebuilt = sandbox.dir().join("rebuilt");
    fs::copy(bench("g3_gemm_k_dense"), &rebuilt).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&rebuilt).unwrap();
    std::io::Write::write_all(&mut file, b"\0").unwrap();
    drop(file);
    let mut command = sandbox.command(&rebuilt);
    command.args(["--bench", "K8$"]).envs(resume);
    let line = finish(command).refused();
    assert_contains(
        &line,
        &[
            "the executable (sha256) (\"",
            "Go on with what it was started with",
            "night-sweep report faulty",
        ],
    );

    let journal = sandbox.journal(RUN_ID);
    let sound = fs::read_to_string(&journal).unwrap();
    let env = journal::read(&journal).unwrap().header.env;
    let cpu = env["host"]["cpu"].to_string();
    for (from, to, says) in [
        (&*format!("\"cpu\":{cpu}"), r#""cpu":"another""#, r#"the processor ("another" and "#),
        (r#""device":"cpu""#, r#""device":"cuda:0""#, r#"the device ("cuda" and "cpu")"#),
        (r#""gpu":null"#, r#""gpu":{"uuid":"GPU-1"}"#, r#"the GPU's uuid ("GPU-1" and null)"#),
    ] {
        assert!(sound.contains(from), "{from}");
        fs::write(&journal, sound.replace(from, to)).unwrap();
        sandbox.g3_with(&resume, &["K8$"]).refused_for(&[says]);
    }
    fs::write(&journal, &sound).unwrap();
    sandbox.g3_with(&resume, &["K8$"]).succeeded();
}
