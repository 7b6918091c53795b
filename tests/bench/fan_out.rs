//! `night-sweep fan-out`: a sweep on several places at once, here processes that share the CPU.

use crate::run::assert_complete;
use crate::sandbox::{
    Ran, Sandbox, assert_contains, assert_each_once, bench, ended, finish, pid_in, send, send_to,
    start, wait_until,
};
use crate::support::{assert_matches_schema, assert_valid, json, names};
use night_sweep::journal::record::Status;
use std::collections::HashSet;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A fan-out of the G3 bench; `arguments` may name another build.
fn command(sandbox: &Sandbox, gpus: &str, arguments: &[&str]) -> Command {
    let mut command = sandbox.night_sweep_command(&["fan-out", "--gpus", gpus, "g3_gemm_k_dense"]);
    if !arguments.contains(&"--build") {
        command.arg("--build").arg(bench("g3_gemm_k_dense"));
    }
    command.args(arguments);
    command
}

fn fan_out(sandbox: &Sandbox, gpus: &str, arguments: &[&str]) -> Ran {
    finish(command(sandbox, gpus, arguments))
}

/// As `cargo install` and a copy under another name leave it.
#[test]
fn a_program_that_lies_alone_runs_every_bench() {
    let sandbox = Sandbox::new();
    let place = sandbox.dir().join("my programs");
    fs::create_dir(&place).unwrap();
    for name in ["night-sweep", "sweeps"] {
        fs::copy(env!("CARGO_BIN_EXE_night-sweep"), place.join(name)).unwrap();
        let start = |arguments: &[&str]| {
            let mut command = sandbox.command(&place.join(name));
            command.args(["fan-out", "--gpus", "cpu:1"]).args(arguments);
            finish(command)
        };
        start(&["g3_gemm_k_dense"]).succeeded();
        start(&["nosuch"]).refused_for(&["no experiment is run by a bench nosuch"]);
        let build = ["g3_gemm_k_dense", "--build", "nosuch"];
        start(&build).refused_for(&["--build: nosuch", "cargo bench --no-run"]);
        fs::remove_file(place.join(name)).unwrap();
    }
    let mut command = command(&sandbox, "cpu:1", &[]);
    command.env("NIGHT_SWEEP_EXPERIMENT", "all");
    finish(command).refused_for(&["a fan-out runs one experiment"]);
}

#[test]
fn shards_side_by_side_become_one_run() {
    let sandbox = Sandbox::with_sweep(18, 2);
    let ran = fan_out(&sandbox, "cpu:2", &[]).succeeded();
    assert!(ran.run_id().ends_with("_G3_gemm_k_dense"), "{}", ran.run_id());
    assert_valid(&ran.folder());
    assert_complete(&sandbox, &ran.folder());
    assert_eq!(sandbox.reports(), [ran.run_id()], "shards have no reports");
    assert_contains(
        &ran.stderr,
        &["G3_gemm_k_dense in 2 shards", "shard 1/2 on cpu process 1: ", "s to merge"],
    );

    let run = sandbox.run(&ran.run_id());
    assert_each_once(&run);
    let alone = sandbox.g3(&[]).succeeded();
    assert_eq!(run.header.cases, sandbox.run(&alone.run_id()).header.cases);
    let shards = run.header.env["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[1]["run_id"], format!("{}_2of2", ran.run_id()));
    // The shards share Criterion's folder, so the merged run finds its estimates there.
    let ran = fan_out(&sandbox, "cpu:2", &["--run-id", "named", "--", "--save-baseline", "main"]);
    let ran = ran.succeeded();
    assert_eq!(ran.run_id(), "named");
    let raw = ran.json("raw");
    let rows = raw["measurements"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["criterion"]["mean_ms"].is_f64()));
    fan_out(&sandbox, "cpu:2", &["--", "--baseline", "main"]).succeeded();
    let ran = fan_out(&sandbox, "cpu:1", &["--filter", "K1[0-2]$"]).succeeded();
    assert_eq!(ran.json("raw")["measurements"].as_array().unwrap().len(), 3);
}

#[test]
fn a_shard_that_fails_leaves_the_others_and_the_same_command_goes_on() {
    let sandbox = Sandbox::new();
    let broken = sandbox.dir().join("broken");
    fs::write(&broken, "9").unwrap();
    let fails = format!(
        "[ $NIGHT_SWEEP_SHARD = 2/3 ] && [ -e {0} ] && echo 'the card fell off the bus' >&2 && \
         exit $(cat {0})",
        broken.display()
    );
    let executable = sandbox.script("wrapped", &fails);
    let arguments = ["--build", executable.to_str().unwrap()];
    let fan_out = || fan_out(&sandbox, "cpu:3", &arguments);
    let ran = fan_out().ended_with(2);
    for part in [
        "shard 2/3 on cpu process 2 ended with exit status: 9: the card fell off the bus (all of \
         it: ",
        "2of3.log)",
        "the same command goes on",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(ran.stdout.is_empty() && !sandbox.results().join("G3").exists());
    let runs = sandbox.runs();
    let plans: Vec<_> =
        names(&runs).into_iter().filter(|name| name.ends_with(".fan-out")).collect();
    let [plan] = &plans[..] else { panic!("{plans:?}") };
    let run_id = plan.strip_suffix(".fan-out").unwrap();
    let journals =
        || [1, 3].map(|i| fs::read(sandbox.journal(&format!("{run_id}_{i}of3"))).unwrap());
    let before = journals();

    // As a bench ends that was stopped, or whose GPU is gone.
    fs::write(&broken, "75").unwrap();
    let ran = fan_out().ended_with(75);
    assert_contains(
        &ran.stderr,
        &["shard 2/3 on cpu process 2 ended with exit status: 75", "goes on with run"],
    );
    fs::remove_file(&broken).unwrap();
    let ran = fan_out().succeeded();
    assert_eq!(ran.run_id(), run_id);
    assert_contains(&ran.stderr, &["(goes on)"]);
    assert!(before == journals(), "what was done is not measured again");
    assert_each_once(&sandbox.run(run_id));
    assert_ne!(fan_out().succeeded().run_id(), run_id, "a run that is whole is not gone on with");
}

/// Starts the fan-out `many`, and waits until each shard has so many trials.
fn start_many(sandbox: &Sandbox, trials: usize) -> Child {
    let child = start(command(sandbox, "cpu:2", &["--run-id", "many"]));
    let since = Instant::now();
    let lines = |index| {
        let bytes = fs::read(sandbox.journal(&format!("many_{index}of2"))).unwrap_or_default();
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    };
    while [1, 2].into_iter().any(|index| lines(index) <= trials) {
        assert!(since.elapsed() < Duration::from_secs(120), "no trials");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn signals_stop_all_shards_and_nothing_is_lost() {
    // More than twice what is waited for: a shard goes on meanwhile.
    const TRIALS: usize = 6;
    let sandbox = Sandbox::with_sweep(55, TRIALS);
    let mut before = 0;
    for (signal, code, trials) in [("TERM", 75, 1), ("USR1", 75, 20), ("INT", 130, 40)] {
        let child = start_many(&sandbox, trials);
        finish(command(&sandbox, "cpu:2", &["--run-id", "many"]))
            .refused_for(&["this fan-out is under way"]);
        send(signal, &child);
        let stderr = ended(child).ended_with(code).stderr;
        assert_contains(&stderr, &["stopped; the same command goes on with run many"]);
        let shards = [1, 2].map(|index| sandbox.run(&format!("many_{index}of2")));
        let done: usize = shards.iter().map(|run| run.trials.len()).sum();
        assert!((before + 1..48 * TRIALS).contains(&done), "{done}");
        before = done;
        // On a busy machine one of them may be done before the other has its trials.
        let ends = shards.map(|run| run.end.unwrap().status);
        assert!(ends.contains(&Status::Partial), "{ends:?}");
        assert!(!sandbox.journal("many").exists() && !sandbox.results().join("G3").exists());
    }
    let ran = fan_out(&sandbox, "cpu:2", &["--run-id", "many"]).succeeded();
    let run = sandbox.run("many");
    assert_each_once(&run);
    for index in [1, 2] {
        let shard = sandbox.run(&format!("many_{index}of2"));
        assert!(shard.trials.iter().all(|trial| run.trials.contains(trial)));
    }
    assert_complete(&sandbox, &ran.folder());
}

#[test]
fn interference_names_the_process_that_is_an_outlier() {
    let sandbox = Sandbox::new();
    let slow = "case $CRITERION_HOME in *-3) export NIGHT_SWEEP_FAULT=slow:G3:900 ;; esac";
    let executable = sandbox.script("wrapped", slow);
    let ran = fan_out(
        &sandbox,
        "cpu:3",
        &["--build", executable.to_str().unwrap(), "--interference", "--run-id", "probed"],
    );
    let ran = ran.succeeded();
    let file = sandbox.results().join("G3/probed.interference.json");
    assert_matches_schema(&file, "interference");
    let found = json(&file);
    assert_eq!(found["run_id"], "probed");
    assert_eq!(found["cases"].as_array().unwrap().len(), 5);
    assert_eq!(found["outliers"], serde_json::json!(["cpu process 3"]), "{found}");
    let gpus = found["gpus"].as_array().unwrap();
    let alone: Vec<_> = gpus.iter().map(|gpu| gpu["alone_vs_median_pct"].as_f64()).collect();
    assert!(alone.len() == 3 && alone[2].unwrap() > 100.0, "{alone:?}");
    // On a busy machine the processes may hardly be at work at the same time.
    assert!(gpus.iter().all(|gpu| gpu["times"].as_array().unwrap().len() <= 5), "{found}");
    for part in ["interference: 5 cases", "cpu process 3 is an outlier", "processes on one CPU"] {
        let text = ran.stdout.replace("\n  ", " ");
        assert!(text.contains(part), "{part}: {}", ran.stdout);
    }
    assert_eq!(ran.folder(), sandbox.results().join("G3/probed"));
    assert_valid(&ran.folder());
    let kept = names(&sandbox.criterion_home().join("night-sweep/probed.fan-out"));
    let logs = ["1of3.log", "2of3.log", "3of3.log"];
    assert_eq!(kept, [&logs[..], &["interference.json", "plan.json", "probe.log"]].concat());
}

#[test]
fn what_cannot_be_fanned_out_is_refused() {
    let sandbox = Sandbox::new();
    let none = ("NIGHT_SWEEP_SEED", "42");
    for (variable, gpus, arguments, part) in [
        (("NIGHT_SWEEP_SHARD", "1/2"), "cpu:2", &[][..], "NIGHT_SWEEP_SHARD: a fan-out makes"),
        (("NIGHT_SWEEP_RESUME", "x"), "cpu:2", &[], "NIGHT_SWEEP_RESUME: a fan-out makes"),
        (none, "all", &[], "name different devices"),
        (("NIGHT_SWEEP_DEVICE", "cuda"), "cpu:2", &[], "name different devices"),
        (none, "cpu:2", &["--", "--list"], "--list measures nothing"),
        (none, "cpu:2", &["--build", "/nowhere"], "cargo bench --no-run --bench g3_gemm_k_dense"),
        (none, "cpu:2", &["--run-id", "../x"], "--run-id \"../x\""),
        (("NIGHT_SWEEP_EXPERIMENT", "S1_sdpa_dense_sweep"), "cpu:2", &[], "bench s1_sdpa_dense"),
        (("NIGHT_SWEEP_EXPERIMENT", "G9"), "cpu:2", &[], "there is no experiment \"G9\""),
    ] {
        let mut command = command(&sandbox, gpus, arguments);
        command.env(variable.0, variable.1);
        finish(command).refused_for(&[part]);
    }
    sandbox.assert_untouched();

    let nothing = fan_out(&sandbox, "cpu:2", &["--run-id", "x", "--filter", "K99"]).ended_with(2);
    assert_contains(&nothing.stderr, &["no case of G3_gemm_k_dense has an id"]);
    fan_out(&sandbox, "cpu:2", &["--run-id", "x"])
        .refused_for(&["begun by another command (arguments differ)"]);
    fan_out(&sandbox, "cpu:2", &["--run-id", "y"]).succeeded();
    fan_out(&sandbox, "cpu:2", &["--run-id", "y"]).refused_for(&["there is a run y already"]);
}

/// Two cards measure as one does, by the rules that tell stored runs apart.
#[test]
#[ignore = "needs two CUDA GPUs"]
fn two_gpus_measure_what_one_does() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(
        "experiments: {G4_gemm_n_dense_projectionlike: {type: gemm_n_dense, dtypes: [fp16], \
         M_values: [1024, 4096], K: 4096, N_range: [64, 128], warmup: 20, measure: 100, trials: \
         3}}",
    );
    let executable = bench("g4_gemm_n_dense");
    let mut alone = sandbox.command(executable);
    alone.arg("--bench").env("NIGHT_SWEEP_DEVICE", "cuda:0").env("NIGHT_SWEEP_RUN_ID", "alone");
    let alone = finish(alone).succeeded();
    let mut both = sandbox.night_sweep_command(&[]);
    both.args(["fan-out", "--gpus", "0,1", "g4_gemm_n_dense", "--interference", "--build"]);
    both.arg(executable).env("NIGHT_SWEEP_DEVICE", "cuda");
    let both = finish(both).succeeded();
    assert_valid(&both.folder());
    let run = sandbox.run(&both.run_id());
    assert_each_once(&run);
    assert_eq!(run.header.cases, sandbox.run("alone").header.cases);
    let shards = run.header.env["shards"].as_array().unwrap();
    let uuids: HashSet<_> = shards.iter().map(|shard| shard["gpu_uuid"].to_string()).collect();
    assert_eq!(uuids.len(), 2, "{uuids:?}");
    let folders = [alone.folder(), both.folder()].map(|path| path.to_str().unwrap().to_owned());
    for (base, cand) in [(&folders[0], &folders[1]), (&folders[1], &folders[0])] {
        sandbox.night_sweep(&["compare", base, cand]).succeeded();
    }
    println!("{}\n{}", both.stderr, both.stdout);
}

#[test]
fn the_folder_of_another_in_place_of_the_runs_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.foreign_folder("taken");
    fan_out(&sandbox, "cpu:2", &["--run-id", "taken"]).refused_for(&["is not empty"]);
    assert_eq!(names(&folder), ["notes.txt"]);
    assert!(!sandbox.journal("taken_1of2").exists(), "nothing was measured");
}

#[test]
fn no_shard_outlives_a_fan_out_and_one_that_is_paused_is_told_of() {
    let sandbox = Sandbox::new();
    let pid = sandbox.dir().join("pid");
    let pauses = "[ $NIGHT_SWEEP_SHARD = 2/2 ] && { echo $$ > pid; kill -STOP $$; }; true";
    let executable = sandbox.script("wrapped", pauses);
    let arguments = ["--build", executable.to_str().unwrap(), "--run-id", "paused"];
    let begin = || start(command(&sandbox, "cpu:2", &arguments));
    let mut child = begin();
    wait_until("a shard", || pid_in(&pid).is_some());
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    let stderr = ended(child).stderr;
    assert_contains(&stderr, &["shard 2/2 on cpu process 2 was paused (SIGSTOP): `kill -CONT "]);
    wait_until("the shard is gone", || pid_in(&pid).is_none());

    let child = begin();
    wait_until("a shard", || pid_in(&pid).is_some());
    send_to("CONT", pid_in(&pid).unwrap());
    ended(child).succeeded();
}
