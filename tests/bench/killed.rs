//! A run that is killed, and goes on.

use crate::run::assert_complete;
use crate::sandbox::{SPEC, Sandbox, bench};
use crate::support::{assert_valid, json, names};
use night_sweep::journal::record::Status;
use night_sweep::journal::{self, Run};
use night_sweep::measure::record::Trial;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The run of these tests, and of those in which it is stopped.
pub const RUN_ID: &str = "killed";
const POINTS: usize = 24;
const TRIALS: usize = 3;
/// Trials in the journal when the run is killed: in the first, at its end, in the second and the
/// last.
const KILLED_AFTER: [usize; 5] = [1, 6, POINTS, 33, 50];

#[test]
fn a_run_killed_five_times_has_each_trial_once() {
    let sandbox = Sandbox::new();
    let spec = SPEC.replace("[8, 12]", "[8, 31]").replace("trials: 2", "trials: 3");
    sandbox.write_spec(&spec);
    let journal = sandbox.journal(RUN_ID);

    let mut start = "NIGHT_SWEEP_RUN_ID";
    for trials in KILLED_AFTER {
        kill_after(&sandbox, start, trials);
        let run = journal::read(&journal).unwrap();
        assert!((trials..POINTS * TRIALS).contains(&run.trials.len()) && run.end.is_none());
        assert_reported(&sandbox, &run);
        start = "NIGHT_SWEEP_RESUME";
    }

    let killed = journal::read(&journal).unwrap();
    for (from, to, differs) in [
        ("measure: 2", "measure: 3", "measure of the spec entry (2 and 3)"),
        ("K_range: [8, 31]", "K_range: [8, 30]", "the cases"),
    ] {
        sandbox.write_spec(&spec.replace(from, to));
        assert_resume_refused(&sandbox, &[], differs);
    }
    sandbox.write_spec(&spec);
    assert_resume_refused(&sandbox, &[("NIGHT_SWEEP_SEED", "43")], "the seed");
    assert_eq!(journal::read(&journal).unwrap(), killed);

    let ran = sandbox.g3_with(&[("NIGHT_SWEEP_RESUME", RUN_ID)], &["--bench"]).succeeded();
    assert_eq!(ran.run_id(), RUN_ID);
    let run = journal::read(&journal).unwrap();
    assert_eq!(run.trials[..killed.trials.len()], killed.trials, "nothing is measured twice");
    let once: HashSet<_> = run.trials.iter().map(|trial| (&trial.case_id, trial.trial)).collect();
    assert_eq!((once.len(), run.trials.len()), (POINTS * TRIALS, POINTS * TRIALS));
    assert!(run.failures.is_empty());
    assert_eq!(run.end.unwrap().status, Status::Complete);
    assert_valid(&ran.folder());
    assert_complete(&sandbox, &ran.folder());
}

/// Kills of each phase in the test below.
const EARLY: usize = 12;
const MEASURING: usize = 28;
const REPORTING: usize = 15;

#[test]
fn a_run_killed_at_random_in_every_phase_has_each_trial_once() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("[8, 12]", "[8, 31]").replace("trials: 2", "trials: 3"));
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut killed = Killed { sandbox: &sandbox, trials: Vec::new(), kills: 0 };

    // Before it measures, most of them without a journal yet; and as its first trials begin.
    let start = Instant::now();
    sandbox.g3(&["--bench", "--list"]).succeeded();
    let startup_us = start.elapsed().as_micros() as u64;
    for _ in 0..EARLY {
        let pause_us = rng.random_range(0..2 * startup_us);
        killed.once(|| std::thread::sleep(Duration::from_micros(pause_us)));
    }
    // While it measures: some trials later, and anywhere within one.
    while killed.kills < EARLY + MEASURING {
        let trials = killed.trials.len() + rng.random_range(0..3);
        let pause_us = rng.random_range(0..4000);
        killed.once(|| {
            wait_for(&sandbox, trials.min(POINTS * TRIALS));
            std::thread::sleep(Duration::from_micros(pause_us));
        });
    }
    // While it reports, which begins with a line in the journal that says how the run ended.
    let mut reports = 0;
    while killed.kills < EARLY + MEASURING + REPORTING {
        let ends = ends_in(&sandbox);
        let pause_us = rng.random_range(0..400_000);
        killed.once(|| {
            let since = Instant::now();
            while ends_in(&sandbox) == ends && since.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(pause_us));
        });
        reports += 1;
        assert!(reports < 10 * REPORTING, "a report takes no time at all");
    }
    assert!(killed.kills >= 50);
    assert_eq!(killed.trials.len(), POINTS * TRIALS);

    let ran = sandbox.g3_with(&[("NIGHT_SWEEP_RESUME", RUN_ID)], &["--bench"]).succeeded();
    let run = journal::read(&sandbox.journal(RUN_ID)).unwrap();
    assert_eq!(run.trials, killed.trials, "nothing is measured twice");
    let once: HashSet<_> = run.trials.iter().map(|trial| (&trial.case_id, trial.trial)).collect();
    assert_eq!(once.len(), POINTS * TRIALS);
    assert!(run.failures.is_empty());
    assert_eq!(run.end.as_ref().unwrap().status, Status::Complete);
    assert_valid(&ran.folder());
    let env = json(&ran.folder().join("env.json"));
    assert_eq!(env["starts"].as_array().unwrap().len(), run.starts.len());
    assert_eq!(json(&ran.folder().join("raw.json"))["metadata"]["status"], "complete");
}

/// A run that is killed again and again.
struct Killed<'a> {
    sandbox: &'a Sandbox,
    /// What its journal holds so far.
    trials: Vec<Trial>,
    kills: usize,
}

impl Killed<'_> {
    /// Starts the run or goes on with it, waits, kills it, and looks at what is left of it.
    fn once(&mut self, wait: impl FnOnce()) {
        let journal = self.sandbox.journal(RUN_ID);
        let is_new = !journal.exists();
        let mut child =
            start(self.sandbox, if is_new { "NIGHT_SWEEP_RUN_ID" } else { "NIGHT_SWEEP_RESUME" });
        wait();
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.success() || ended.signal() == Some(9), "{ended}");
        self.kills += usize::from(ended.signal() == Some(9));

        if journal.exists() {
            let run = journal::read(&journal).unwrap();
            assert_eq!(run.trials[..self.trials.len()], self.trials, "what there was is lost");
            self.trials = run.trials;
        } else {
            assert!(self.trials.is_empty(), "the journal is gone");
        }
        let group = self.sandbox.results().join("G3");
        let left = if group.exists() { names(&group) } else { Vec::new() };
        let is_known = |name: &String| name == RUN_ID || name.starts_with(".night-sweep-");
        assert!(left.iter().all(is_known), "{left:?}");
        if left.iter().any(|name| name == RUN_ID) {
            assert_valid(&group.join(RUN_ID));
        }
    }
}

fn ends_in(sandbox: &Sandbox) -> usize {
    let text = std::fs::read_to_string(sandbox.journal(RUN_ID)).unwrap_or_default();
    text.matches("{\"line\":\"end\"").count()
}

/// Criterion panics where the baseline is gone that it was to compare with: by then all is
/// measured.
#[test]
fn a_panic_of_criterion_is_heard_and_costs_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("[8, 12]", "[8, 31]").replace("trials: 2", "trials: 3"));
    sandbox.g3(&["--bench", "--save-baseline", "x"]).succeeded();
    let mut command = sandbox.command(bench("g3_gemm_k_dense"));
    command.args(["--bench", "--baseline", "x"]).env("NIGHT_SWEEP_RUN_ID", RUN_ID);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&sandbox, 1);
    for case in names(&sandbox.criterion_home().join("G3/M16_N16_fp16")) {
        let case = sandbox.criterion_home().join("G3/M16_N16_fp16").join(case);
        std::fs::remove_dir_all(case.join("x")).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for part in ["panicked at", "Baseline 'x' must exist", "list --runs"] {
        assert!(stderr.contains(part), "{stderr}");
    }
    assert_eq!(journal::read(&sandbox.journal(RUN_ID)).unwrap().trials.len(), TRIALS * POINTS);
    let ran = sandbox.g3_with(&[("NIGHT_SWEEP_RESUME", RUN_ID)], &["--bench"]).succeeded();
    assert_complete(&sandbox, &ran.folder());
}

#[test]
fn a_run_that_is_going_on_is_not_resumed() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replace("[8, 12]", "[8, 31]"));
    let mut child = start(&sandbox, "NIGHT_SWEEP_RUN_ID");
    wait_for(&sandbox, 1);
    let resume = [("NIGHT_SWEEP_RESUME", RUN_ID)];
    let line = sandbox.g3_with(&resume, &["--bench"]).refused();
    assert!(line.contains("another process is writing to it"), "{line}");
    let line = sandbox.g3_with(&[("NIGHT_SWEEP_RUN_ID", RUN_ID)], &["--bench"]).refused();
    assert!(line.contains("there is a run killed already"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.g3_with(&resume, &["--bench"]).succeeded();
}

/// Starts or resumes the run, and kills it once its journal has that many trials.
fn kill_after(sandbox: &Sandbox, start: &str, trials: usize) {
    let mut child = self::start(sandbox, start);
    wait_for(sandbox, trials);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(9), "{ended}: to be killed after {trials} trials");
}

fn start(sandbox: &Sandbox, variable: &str) -> Child {
    let mut command = sandbox.command(bench("g3_gemm_k_dense"));
    command.arg("--bench").env(variable, RUN_ID).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Waits until the journal of [`RUN_ID`] has that many trials.
pub fn wait_for(sandbox: &Sandbox, trials: usize) {
    let (journal, since) = (sandbox.journal(RUN_ID), Instant::now());
    while trials_in(&journal) < trials && since.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn trials_in(journal: &Path) -> usize {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    text.matches("{\"line\":\"trial\"").count()
}

/// Checks that what there is of a killed run can be looked at.
fn assert_reported(sandbox: &Sandbox, run: &Run) {
    let root = sandbox.results();
    let report = sandbox.night_sweep(&["report", RUN_ID, "--results-root", root.to_str().unwrap()]);
    let report = report.succeeded();
    assert!(report.stdout.contains("partial"), "{}", report.stdout);
    let folder = report.folder();
    assert_eq!(folder, root.join("G3").join(RUN_ID));
    assert_valid(&folder);
    let raw = json(&folder.join("raw.json"));
    assert_eq!(raw["metadata"]["status"], "partial");
    let rows = raw["measurements"].as_array().unwrap();
    assert_eq!(rows.len(), POINTS);
    let trials: u64 = rows.iter().filter_map(|row| row["trials"].as_u64()).sum();
    assert_eq!(trials, run.trials.len() as u64);
    let untimed = rows.iter().filter(|row| row["error_kind"] == "skipped").count();
    let timed: HashSet<_> = run.trials.iter().map(|trial| &trial.case_id).collect();
    assert_eq!(untimed, POINTS - timed.len());
}

fn assert_resume_refused(sandbox: &Sandbox, variables: &[(&str, &str)], differs: &str) {
    let variables = [&[("NIGHT_SWEEP_RESUME", RUN_ID)], variables].concat();
    let line = sandbox.g3_with(&variables, &["--bench"]).refused();
    assert!(line.contains("cannot resume killed") && line.contains(differs), "{line}");
}
