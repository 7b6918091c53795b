//! A run that is asked to stop, and goes on.

use crate::killed::{RUN_ID, wait_for};
use crate::run::assert_complete;
use crate::sandbox::{Ran, SPEC, Sandbox, bench};
use crate::support::{assert_valid, json};
use night_sweep::journal;
use night_sweep::journal::record::Status;
use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const POINTS: usize = 24;
const TRIALS: usize = 3;

fn start(sandbox: &Sandbox, variable: &str) -> Child {
    let mut command = sandbox.command(bench("g3_gemm_k_dense"));
    command.arg("--bench").env(variable, RUN_ID).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_run_asked_to_stop_reports_what_it_has_and_goes_on() {
    let sandbox = Sandbox::new();
    let spec = SPEC.replace("[8, 12]", "[8, 31]").replace("trials: 2", "trials: 3");
    sandbox.write_spec(&spec);
    let none = sandbox.night_sweep(&["list", "--runs"]).succeeded().stdout;
    assert!(none.contains("can be resumed") && none.lines().count() == 1, "{none}");

    let (mut variable, mut before) = ("NIGHT_SWEEP_RUN_ID", 0);
    let stops =
        [("TERM", "SIGTERM", 75, 1), ("USR1", "SIGUSR1", 75, POINTS), ("INT", "Ctrl-C", 130, 50)];
    for (signal, by, code, trials) in stops {
        let child = start(&sandbox, variable);
        wait_for(&sandbox, trials);
        if trials == 1 {
            let listed = sandbox.night_sweep(&["list", "--runs"]).succeeded().stdout;
            assert!(listed.contains("under way"), "{listed}");
        }
        send(signal, &child);
        let ran = ended(child);
        assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
        let run = journal::read(&sandbox.journal(RUN_ID)).unwrap();
        let done = run.trials.len();
        assert!((before + 1..POINTS * TRIALS).contains(&done), "{done}");
        before = done;
        assert_eq!(run.end.unwrap().status, Status::Partial);
        let says = format!(
            "stopped by {by}: {done} of 72 trials are done; go on with NIGHT_SWEEP_RESUME={RUN_ID}"
        );
        assert!(ran.stderr.contains(&says), "{}", ran.stderr);

        assert!(ran.stdout.contains(", 3 trials, partial"), "{}", ran.stdout);
        assert_eq!(ran.folder(), sandbox.results().join("G3").join(RUN_ID));
        assert_valid(&ran.folder());
        assert_eq!(json(&ran.folder().join("raw.json"))["metadata"]["status"], "partial");

        let listed = sandbox.night_sweep(&["list", "--runs"]).succeeded().stdout;
        let line = listed.lines().find(|line| line.contains(RUN_ID)).unwrap();
        for part in ["G3_gemm_k_dense", "cpu", &format!("{done} of 72")] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("under way"), "{line}");
        variable = "NIGHT_SWEEP_RESUME";
    }

    let ran = ended(start(&sandbox, variable)).succeeded();
    let run = journal::read(&sandbox.journal(RUN_ID)).unwrap();
    let once: HashSet<_> = run.trials.iter().map(|trial| (&trial.case_id, trial.trial)).collect();
    assert_eq!((once.len(), run.trials.len()), (POINTS * TRIALS, POINTS * TRIALS));
    assert_eq!(run.end.unwrap().status, Status::Complete);
    assert_complete(&sandbox, &ran.folder());
    let none = sandbox.night_sweep(&["list", "--runs"]).succeeded().stdout;
    assert!(!none.contains(RUN_ID), "{none}");
}

#[test]
fn the_second_ctrl_c_does_not_wait_for_the_trial() {
    let sandbox = Sandbox::new();
    // A trial that takes seconds on any machine.
    let spec =
        SPEC.replace("{M: 16, N: 16}", "{M: 512, N: 512}").replace("measure: 2", "measure: 20000");
    sandbox.write_spec(&spec);
    let child = start(&sandbox, "NIGHT_SWEEP_RUN_ID");
    while !sandbox.journal(RUN_ID).exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // The first trial begins.
    std::thread::sleep(Duration::from_millis(500));
    send("INT", &child);
    // Two signals that meet before the process looks are one.
    std::thread::sleep(Duration::from_millis(300));
    send("INT", &child);
    let ran = ended(child);
    assert_eq!(ran.code, Some(130), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("stopped by"), "{}", ran.stderr);
    let run = journal::read(&sandbox.journal(RUN_ID)).unwrap();
    assert!(run.trials.is_empty() && run.end.is_none());
    assert!(!sandbox.results().join("G3").exists());
}
