//! A run that is asked to stop, and goes on.

use crate::killed::{LAST_K, POINTS, RUN_ID, TRIALS, wait_for};
use crate::run::assert_complete;
use crate::sandbox::{SPEC, Sandbox, assert_contains, assert_each_once, ended, send, start};
use crate::support::assert_valid;
use night_sweep::journal::record::Status;
use std::process::Child;
use std::time::Duration;

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
