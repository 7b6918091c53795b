//! A run that is asked to stop, and goes on.

use crate::killed::{LAST_K, POINTS, RUN_ID, TRIALS, wait_for};
use crate::run::assert_complete;
use crate::sandbox::{SPEC, Sandbox, assert_contains, assert_each_once, ended, send, start};
use crate::support::assert_valid;
use night_sweep::journal::record::Status;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn start_as(sandbox: &Sandbox, variable: &str) -> Child {
    let mut command = sandbox.g3_command(&[]);
    command.env(variable, RUN_ID);
    start(command)
}

#[test]
fn a_run_asked_to_stop_reports_what_it_has_and_goes_on() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    let listed = || sandbox.night_sweep(&["list", "--runs"]).succeeded().stdout;
    let none = listed();
    assert!(none.contains("can be resumed") && none.lines().count() == 1, "{none}");

    let (mut variable, mut before) = ("NIGHT_SWEEP_RUN_ID", 0);
    let stops =
        [("TERM", "SIGTERM", 75, 1), ("USR1", "SIGUSR1", 75, POINTS), ("INT", "Ctrl-C", 130, 50)];
    for (signal, by, code, trials) in stops {
        let child = start_as(&sandbox, variable);
        wait_for(&sandbox, trials);
        if trials == 1 {
            let runs = listed();
            assert_contains(&runs, &["under way"]);
        }
        send(signal, &child);
        let ran = ended(child).ended_with(code);
        let run = sandbox.run(RUN_ID);
        let done = run.trials.len();
        assert!((before + 1..POINTS * TRIALS).contains(&done), "{done}");
        before = done;
        assert_eq!(run.end.unwrap().status, Status::Partial);
        let says = format!(
            "stopped by {by}: {done} of 72 trials are done; go on with NIGHT_SWEEP_RESUME={RUN_ID}"
        );
        assert_contains(&ran.stderr, &[&says]);

        assert_contains(&ran.stdout, &[", 3 trials, partial"]);
        assert_eq!(ran.folder(), sandbox.results().join("G3").join(RUN_ID));
        assert_valid(&ran.folder());
        assert_eq!(ran.json("raw")["metadata"]["status"], "partial");

        let runs = listed();
        let line = runs.lines().find(|line| line.contains(RUN_ID)).unwrap();
        assert_contains(line, &["G3_gemm_k_dense", "cpu", &format!("{done} of 72")]);
        assert!(!line.contains("under way"), "{line}");
        variable = "NIGHT_SWEEP_RESUME";
    }

    let ran = ended(start_as(&sandbox, variable)).succeeded();
    let run = sandbox.run(RUN_ID);
    assert_each_once(&run);
    assert_complete(&sandbox, &ran.folder());
    let none = listed();
    assert!(!none.contains(RUN_ID), "{none}");
}

#[test]
fn the_second_ctrl_c_does_not_wait_for_the_trial() {
    let sandbox = Sandbox::new();
    // A trial that takes seconds on any machine.
    let spec =
        SPEC.replace("{M: 16, N: 16}", "{M: 512, N: 512}").replace("measure: 2", "measure: 20000");
    sandbox.write_spec(&spec);
    let child = start_as(&sandbox, "NIGHT_SWEEP_RUN_ID");
    while !sandbox.journal(RUN_ID).exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // The first trial begins.
    std::thread::sleep(Duration::from_millis(500));
    send("INT", &child);
    // Two signals that meet before the process looks are one.
    std::thread::sleep(Duration::from_millis(300));
    send("INT", &child);
    let ran = ended(child).ended_with(130);
    assert!(!ran.stderr.contains("stopped by"), "{}", ran.stderr);
    let run = sandbox.run(RUN_ID);
    assert!(run.trials.is_empty() && run.end.is_none());
    assert!(!sandbox.results().join("G3").exists());
}

/// A `python3` that takes its time to say where PyTorch is, as a driver may to start.
fn slow_to_start(sandbox: &Sandbox) -> (Command, PathBuf) {
    let (folder, started) = (sandbox.dir().join("bin"), sandbox.dir().join("started"));
    std::fs::create_dir(&folder).unwrap();
    let python = folder.join("python3");
    let lines = format!("#!/bin/sh\n: > {}\nexec sleep 60\n", started.display());
    std::fs::write(&python, lines).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = sandbox.g3_command(&[]);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    command.env("NIGHT_SWEEP_RUN_ID", RUN_ID).env("NIGHT_SWEEP_TORCH", "auto").env("PATH", path);
    command.env_remove("VIRTUAL_ENV").env_remove("CONDA_PREFIX");
    (command, started)
}

#[test]
fn a_signal_before_there_is_a_run_ends_it_with_the_code_of_a_signal() {
    for (signal, code) in [("TERM", 75), ("USR1", 75), ("INT", 130)] {
        let sandbox = Sandbox::new();
        let (command, started) = slow_to_start(&sandbox);
        let child = start(command);
        let since = Instant::now();
        while !started.exists() && since.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(2));
        }
        send(signal, &child);
        // Its `python3` has the pipes of its output still.
        let ended = Child::wait(&mut { child }).unwrap();
        assert_eq!(ended.code(), Some(code), "{signal}");
        sandbox.assert_untouched();
    }
}

#[test]
fn a_signal_in_the_restart_after_a_lost_device_is_heard() {
    // As the next process is started, before it can listen, and after.
    for pause_ms in [0, 1, 2, 4, 8, 16, 32] {
        let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
        let mut command = sandbox.g3_command(&[]);
        command.env("NIGHT_SWEEP_RUN_ID", RUN_ID).env("NIGHT_SWEEP_FAULT", "sticky:/K10");
        let mut child = start(command);
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("starting anew")));
        std::thread::sleep(Duration::from_millis(pause_ms));
        send("TERM", &child);
        assert_eq!(ended(child).code, Some(75), "after {pause_ms} ms");
        let run = sandbox.run(RUN_ID);
        assert!(run.trials.len() < POINTS * TRIALS);
        let resume = [("NIGHT_SWEEP_RESUME", RUN_ID), ("NIGHT_SWEEP_FAULT", "sticky:/K10")];
        sandbox.g3_with(&resume, &[]).succeeded();
        assert_eq!(sandbox.run(RUN_ID).failures.len(), 1);
    }
}

#[test]
fn a_signal_after_the_last_trial_leaves_a_complete_run() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    let child = start_as(&sandbox, "NIGHT_SWEEP_RUN_ID");
    wait_for(&sandbox, POINTS * TRIALS);
    send("TERM", &child);
    let ran = ended(child);
    assert!(matches!(ran.code, Some(0 | 75)), "{:?}", ran.code);
    assert_eq!(sandbox.run(RUN_ID).end.unwrap().status, Status::Complete);
    assert_eq!(ran.json("raw")["metadata"]["status"], "complete");
    let ran = ended(start_as(&sandbox, "NIGHT_SWEEP_RESUME")).succeeded();
    assert_complete(&sandbox, &ran.folder());
}

#[test]
fn a_fault_and_a_signal_together_blame_no_case() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.g3_command(&[]);
    command.env("NIGHT_SWEEP_RUN_ID", RUN_ID).env("NIGHT_SWEEP_FAULT", "sticky:/K");
    let child = start(command);
    // From the first look at its journal on, any time will do: each case loses the device.
    let since = Instant::now();
    while !sandbox.journal(RUN_ID).exists() && since.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(1));
    }
    send("TERM", &child);
    let ran = ended(child);
    let blamed = sandbox.run(RUN_ID).failures.len();
    assert_eq!(ran.code, Some(75), "{}", ran.stderr);
    // Those before the signal, which a new process has recorded.
    assert!(blamed < 5, "{blamed}: {}", ran.stderr);
}
