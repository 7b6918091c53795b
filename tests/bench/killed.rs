//! A run that is killed, and goes on.

use crate::run::assert_complete;
use crate::sandbox::{Sandbox, assert_contains, assert_each_once, ended, spec_with, start};
use crate::support::{assert_valid, names};
use night_sweep::journal::{self, Run};
use night_sweep::measure::record::Trial;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The run of these tests, and of those in which it is stopped.
pub const RUN_ID: &str = "killed";
/// The last K of its sweep, and so many cases.
pub const LAST_K: usize = 31;
pub const POINTS: usize = 24;
pub const TRIALS: usize = 3;

#[test]
fn a_killed_run_is_reported_and_goes_on_only_as_it_began() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    let mut variable = "NIGHT_SWEEP_RUN_ID";
    // In the first trial, at its end, and in the last.
    for trials in [1, POINTS, 50] {
        let mut child = start_quietly(&sandbox, variable);
        wait_for(&sandbox, trials);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended by itself");
        let run = sandbox.run(RUN_ID);
        assert!((trials..POINTS * TRIALS).contains(&run.trials.len()) && run.end.is_none());
        assert_reported(&sandbox, &run);
        variable = "NIGHT_SWEEP_RESUME";
    }

    let killed = sandbox.run(RUN_ID);
    let spec = spec_with(LAST_K, TRIALS);
    let resume = [("NIGHT_SWEEP_RESUME", RUN_ID), ("NIGHT_SWEEP_SEED", "43")];
    for (from, to, variables, differs) in [
        ("measure: 2", "measure: 3", &resume[..1], "measure of the spec entry (2 and 3)"),
        ("K_range: [8, 31]", "K_range: [8, 30]", &resume[..1], "the cases"),
        ("", "", &resume, "the seed"),
    ] {
        sandbox.write_spec(&spec.replacen(from, to, 2));
        sandbox.g3_with(variables, &[]).refused_for(&["cannot resume killed", differs]);
    }
    assert_eq!(sandbox.run(RUN_ID), killed);

    let ran = sandbox.resume(RUN_ID).succeeded();
    assert_eq!(ran.run_id(), RUN_ID);
    let run = sandbox.run(RUN_ID);
    assert_eq!(run.trials[..killed.trials.len()], killed.trials, "nothing is measured twice");
    assert_each_once(&run);
    assert_valid(&ran.folder());
    assert_complete(&sandbox, &ran.folder());
}

const EARLY: usize = 12;
const MEASURING: usize = 28;
const REPORTING: usize = 15;

#[test]
fn a_run_killed_at_random_in_every_phase_has_each_trial_once() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut killed = Killed { sandbox: &sandbox, trials: Vec::new(), kills: 0 };

    // Before it measures, most of them without a journal yet; and as its first trials begin.
    let start = Instant::now();
    sandbox.g3(&["--list"]).succeeded();
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
        let ends = lines_in(&sandbox, "end");
        let pause_us = rng.random_range(0..400_000);
        killed.once(|| {
            let since = Instant::now();
            while lines_in(&sandbox, "end") == ends && since.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(pause_us));
        });
        reports += 1;
        assert!(reports < 10 * REPORTING, "a report takes no time at all");
    }
    assert!(killed.kills >= 50);
    assert_eq!(killed.trials.len(), POINTS * TRIALS);

    let ran = sandbox.resume(RUN_ID).succeeded();
    let run = sandbox.run(RUN_ID);
    assert_eq!(run.trials, killed.trials, "nothing is measured twice");
    assert_each_once(&run);
    assert_valid(&ran.folder());
    let env = ran.json("env");
    assert_eq!(env["starts"].as_array().unwrap().len(), run.starts.len());
    assert_eq!(ran.json("raw")["metadata"]["status"], "complete");
}

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
        let variable = if is_new { "NIGHT_SWEEP_RUN_ID" } else { "NIGHT_SWEEP_RESUME" };
        let mut child = start_quietly(self.sandbox, variable);
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

fn lines_in(sandbox: &Sandbox, kind: &str) -> usize {
    let text = std::fs::read_to_string(sandbox.journal(RUN_ID)).unwrap_or_default();
    text.matches(&format!("{{\"line\":\"{kind}\"")).count()
}

/// Criterion panics where the baseline is gone that it was to compare with: by then all is
/// measured.
#[test]
fn a_panic_of_criterion_is_heard_and_costs_nothing() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    sandbox.g3(&["--save-baseline", "x"]).succeeded();
    let mut command = sandbox.g3_command(&["--baseline", "x"]);
    command.env("NIGHT_SWEEP_RUN_ID", RUN_ID);
    let child = start(command);
    wait_for(&sandbox, 1);
    let cases = sandbox.criterion_home().join("G3/M16_N16_fp16");
    for case in names(&cases) {
        std::fs::remove_dir_all(cases.join(case).join("x")).unwrap();
    }
    let ran = ended(child);
    assert_ne!(ran.code, Some(0));
    assert_contains(&ran.stderr, &["panicked at", "Baseline 'x' must exist", "list --runs"]);
    assert_eq!(sandbox.run(RUN_ID).trials.len(), TRIALS * POINTS);
    let ran = sandbox.resume(RUN_ID).succeeded();
    assert_complete(&sandbox, &ran.folder());
}

#[test]
fn a_run_that_is_going_on_is_not_resumed() {
    let sandbox = Sandbox::with_sweep(LAST_K, 2);
    let mut child = start_quietly(&sandbox, "NIGHT_SWEEP_RUN_ID");
    wait_for(&sandbox, 1);
    let resume = [("NIGHT_SWEEP_RESUME", RUN_ID)];
    sandbox.g3_with(&resume, &[]).refused_for(&["another process is writing to it"]);
    sandbox.g3_as(RUN_ID).refused_for(&["there is a run killed already"]);
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.g3_with(&resume, &[]).succeeded();
}

/// Starts the run, or goes on with it. Nobody reads its output, so no pipe holds it back.
fn start_quietly(sandbox: &Sandbox, variable: &str) -> Child {
    let mut command = sandbox.g3_command(&[]);
    command.env(variable, RUN_ID).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the journal of [`RUN_ID`] has that many trials.
pub fn wait_for(sandbox: &Sandbox, trials: usize) {
    let since = Instant::now();
    while lines_in(sandbox, "trial") < trials && since.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn assert_reported(sandbox: &Sandbox, run: &Run) {
    let report = sandbox.report(RUN_ID).succeeded();
    assert_contains(&report.stdout, &["partial"]);
    assert_eq!(report.folder(), sandbox.results().join("G3").join(RUN_ID));
    assert_valid(&report.folder());
    let raw = report.json("raw");
    assert_eq!(raw["metadata"]["status"], "partial");
    let rows = raw["measurements"].as_array().unwrap();
    assert_eq!(rows.len(), POINTS);
    let trials: u64 = rows.iter().filter_map(|row| row["trials"].as_u64()).sum();
    assert_eq!(trials, run.trials.len() as u64);
    let untimed = rows.iter().filter(|row| row["error_kind"] == "skipped").count();
    let timed: HashSet<_> = run.trials.iter().map(|trial| &trial.case_id).collect();
    assert_eq!(untimed, POINTS - timed.len());
}

#[test]
fn a_resume_that_is_refused_changes_no_byte() {
    let sandbox = Sandbox::with_sweep(LAST_K, 2);
    let mut child = start_quietly(&sandbox, "NIGHT_SWEEP_RUN_ID");
    wait_for(&sandbox, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let path = sandbox.journal(RUN_ID);
    // As killed within a line.
    let mut cut = std::fs::read(&path).unwrap();
    cut.extend_from_slice(b"{\"line\":\"tri");
    std::fs::write(&path, &cut).unwrap();
    let stranger = sandbox.dir().join("elsewhere/G3").join(RUN_ID);
    std::fs::create_dir_all(&stranger).unwrap();
    std::fs::write(stranger.join("notes.txt"), "precious").unwrap();
    let elsewhere = sandbox.dir().join("elsewhere");
    for (name, value, says) in [
        ("NIGHT_SWEEP_SEED", "43", "the seed"),
        ("NIGHT_SWEEP_SHARD", "1/2", "the shard"),
        ("NIGHT_SWEEP_FAULT", "slow:/K8:50", "NIGHT_SWEEP_FAULT (null and \"slow:/K8:50\")"),
        ("NIGHT_SWEEP_RESULTS_ROOT", elsewhere.to_str().unwrap(), "is not empty"),
    ] {
        let variables = [("NIGHT_SWEEP_RESUME", RUN_ID), (name, value)];
        sandbox.g3_with(&variables, &[]).refused_for(&["cannot resume killed", says]);
        assert_eq!(std::fs::read(&path).unwrap(), cut, "{name}");
    }
    sandbox.resume(RUN_ID).succeeded();
}

#[test]
fn a_run_whose_journal_was_removed_ends_and_says_so() {
    let sandbox = Sandbox::with_sweep(LAST_K, 50);
    let mut command = sandbox.g3_command(&[]);
    command.env("NIGHT_SWEEP_RUN_ID", RUN_ID);
    let child = start(command);
    wait_for(&sandbox, 2);
    std::fs::remove_dir_all(sandbox.runs()).unwrap();
    let ran = ended(child).ended_with(2);
    let line = ran.stderr.lines().last().unwrap();
    assert_contains(line, &["this run ends here", "was removed or replaced as the run went on"]);
    assert!(!line.contains("nothing measured before is lost"), "{line}");
    assert!(!sandbox.results().join("G3").exists(), "there is nothing to report");
}

#[test]
fn reports_of_a_run_under_way_are_whole_and_the_last_word_is_the_runs() {
    let sandbox = Sandbox::with_sweep(LAST_K, TRIALS);
    let child = start_quietly(&sandbox, "NIGHT_SWEEP_RUN_ID");
    wait_for(&sandbox, 1);
    sandbox.report(RUN_ID).succeeded();
    let folder = sandbox.results().join("G3").join(RUN_ID);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..4 {
                    sandbox.report(RUN_ID).succeeded();
                    let root = sandbox.results();
                    let root = root.to_str().unwrap();
                    let index = ["report", "--index", "--results-root", root];
                    let stderr = sandbox.night_sweep(&index).succeeded().stderr;
                    assert!(stderr.is_empty(), "{stderr}");
                }
            });
        }
        let looks = scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                assert!(folder.join("raw.json").exists(), "there is no report for a moment");
            }
        });
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success());
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        looks.join().unwrap();
    });
    assert_complete(&sandbox, &folder);
    assert_eq!(names(&sandbox.results().join("G3")), [RUN_ID], "nothing is left beside it");

    // A report of what a process had read before the run ended.
    let path = sandbox.journal(RUN_ID);
    let text = std::fs::read_to_string(&path).unwrap();
    let before = text.lines().count() - 2;
    let before: String = text.lines().take(before).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, before).unwrap();
    let ran = sandbox.report(RUN_ID).succeeded();
    assert_contains(&ran.stderr, &["the report of the complete run, and is kept"]);
    assert_complete(&sandbox, &folder);
}
