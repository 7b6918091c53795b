//! Disks that are full, or cannot be written, and folders that are not what they seem.

use crate::run::assert_complete;
use crate::sandbox::{G3_IDS, Sandbox, TRIALS, assert_contains, bench, finish};
use crate::support::{assert_valid, names};
use night_sweep::journal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const RUN_ID: &str = "crowded";
const POINTS: usize = 24;

/// Runs G3 with no file larger than so many KiB: what outgrows that is refused with EFBIG, which
/// takes the way of ENOSPC. Returns the last line of what it says.
fn limited(sandbox: &Sandbox, kib: usize) -> String {
    let mut command = sandbox.command(Path::new("bash"));
    command
        .args(["-c", &format!("ulimit -f {kib}; exec \"$0\" --bench")])
        .arg(bench("g3_gemm_k_dense"))
        .env("NIGHT_SWEEP_RUN_ID", RUN_ID);
    finish(command).ended_with(2).stderr.lines().last().unwrap().to_owned()
}

#[test]
fn a_journal_that_cannot_grow_ends_the_run_and_keeps_what_is_in_it() {
    let sandbox = Sandbox::with_sweep(31, TRIALS);
    let line = limited(&sandbox, 24);
    assert_contains(
        &line,
        &[
            "nothing measured before is lost",
            "NIGHT_SWEEP_RESUME=crowded",
            "cannot write to /",
            "File too large",
        ],
    );
    let kept = sandbox.run(RUN_ID);
    assert!((1..2 * POINTS).contains(&kept.trials.len()), "{}", kept.trials.len());
    assert!(line.contains(&format!("{} of 48 trials are done", kept.trials.len())), "{line}");

    let ran = sandbox.resume(RUN_ID).succeeded();
    assert_complete(&sandbox, &ran.folder());
    let run = sandbox.run(RUN_ID);
    assert_eq!(run.trials[..kept.trials.len()], kept.trials);
    assert_eq!(run.trials.len(), 2 * POINTS);
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_journal_and_no_half_of_it() {
    let sandbox = Sandbox::new();
    let line = limited(&sandbox, 48);
    assert_contains(
        &line,
        &[
            "everything measured is in /",
            "`night-sweep report /",
            "cannot write /",
            "File too large",
        ],
    );
    assert!(sandbox.reports().is_empty());
    assert_complete(&sandbox, &sandbox.report(RUN_ID).succeeded().folder());
}

/// A file system of a few KiB, in a mount namespace of the test's own; then the same one, larger.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size=16k tmpfs "$CRITERION_HOME" || exit 99
journal="$CRITERION_HOME/night-sweep/crowded/journal.jsonl"
NIGHT_SWEEP_RUN_ID=crowded "$0" --bench
[ $? = 2 ] || exit 98
cp "$journal" kept.jsonl
mount -o remount,size=64m "$CRITERION_HOME" || exit 97
NIGHT_SWEEP_RESUME=crowded "$0" --bench && cp "$journal" whole.jsonl
"#;

#[test]
fn a_disk_that_fills_up_and_is_emptied_costs_nothing() {
    let namespace = ["--user", "--map-root-user", "--mount"];
    let allowed = Command::new("unshare")
        .args(namespace)
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a file system in a namespace of his own");
        return;
    }
    let sandbox = Sandbox::with_sweep(31, TRIALS);
    fs::create_dir(sandbox.criterion_home()).unwrap();
    let mut command = sandbox.command(Path::new("unshare"));
    command.args(namespace).args(["sh", "-c", ON_A_SMALL_DISK]).arg(bench("g3_gemm_k_dense"));
    let ran = finish(command).succeeded();
    assert_contains(&ran.stderr, &["No space left on device"]);
    let read = |name: &str| journal::read(&sandbox.dir().join(name)).unwrap();
    let (kept, whole) = (read("kept.jsonl"), read("whole.jsonl"));
    assert!((1..2 * POINTS).contains(&kept.trials.len()), "{}", kept.trials.len());
    assert_eq!(whole.trials[..kept.trials.len()], kept.trials);
    assert_eq!(whole.trials.len(), 2 * POINTS);
    assert_valid(&ran.folder());
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_measuring() {
    // Nobody writes below /proc, root neither; and a file is no folder.
    let root = "NIGHT_SWEEP_RESULTS_ROOT";
    for (name, place, says) in [
        (root, "/proc/night-sweep", "cannot"),
        ("CRITERION_HOME", "/proc/night-sweep", "cannot"),
        (root, "spec.yaml", ""),
    ] {
        let sandbox = Sandbox::new();
        sandbox.g3_with(&[(name, place)], &[]).refused_for(&[place, says]);
        assert!(!sandbox.results().join("G3").exists());
    }
    // Where no report is written, none has to be possible.
    let sandbox = Sandbox::new();
    let variables = [(root, "/proc/night-sweep"), ("NIGHT_SWEEP_REPORT", "no")];
    sandbox.g3_with(&variables, &["K8$"]).succeeded();
}

#[test]
fn a_broken_journal_is_not_gone_on_with_and_says_which_line_is() {
    let sandbox = Sandbox::new();
    sandbox.g3_as(RUN_ID).succeeded();
    let path = sandbox.journal(RUN_ID);
    let sound = fs::read(&path).unwrap();
    let third = sound.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0 + 1;
    let with = |at: usize, junk: &[u8]| [&sound[..at], junk, &sound[at..]].concat();
    let future = String::from_utf8(sound.clone()).unwrap().replacen("\"2.0\"", "\"3.0\"", 1);
    for (broken, says) in [
        (with(third, b"\xff\0\x7f garbage\n"), ":4: not a line of a run journal"),
        (with(third, b"\xff\0\x7f garbage\n"), "sed -i.bak 4d"),
        (with(third + 20, b"\0\0\0"), ":4: not a line of a run journal"),
        (with(0, b"\x7fELF\n"), ":1: not a line of a run journal"),
        (future.into_bytes(), "schema version 3.0"),
        (b"\0\0\0\0".to_vec(), "there is nothing in it"),
    ] {
        fs::write(&path, &broken).unwrap();
        sandbox.resume(RUN_ID).refused_for(&[says, "cannot resume crowded"]);
        sandbox.night_sweep(&["report", RUN_ID]).refused_for(&[says]);
        assert_contains(&sandbox.night_sweep(&["list", "--runs"]).succeeded().stderr, &[says]);
        assert_eq!(fs::read(&path).unwrap(), broken, "it is left as it is");
    }
    // A last line cut short is what a killed process leaves.
    fs::write(&path, &sound[..sound.len() - 3]).unwrap();
    sandbox.resume(RUN_ID).succeeded();
}

#[test]
fn nothing_is_written_where_a_link_leads() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let run_id = [("NIGHT_SWEEP_RUN_ID", RUN_ID)];
    let runs = sandbox.runs();
    fs::create_dir_all(&runs).unwrap();
    symlink(&elsewhere, runs.join(RUN_ID)).unwrap();
    sandbox.g3_with(&run_id, &["K8$"]).refused_for(&["is a symbolic link", "remove it"]);
    fs::remove_file(runs.join(RUN_ID)).unwrap();

    for link in ["G3", "G3/crowded"] {
        let link = sandbox.results().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&elsewhere, &link).unwrap();
        let ran = sandbox.g3_with(&[("NIGHT_SWEEP_REPORT", "no"), run_id[0]], &["K8$"]);
        ran.succeeded();
        sandbox.report(RUN_ID).refused_for(&["is a symbolic link"]);
        fs::remove_file(&link).unwrap();
        fs::remove_dir_all(runs.join(RUN_ID)).unwrap();
    }
    assert!(names(&elsewhere).is_empty());
}

/// Both have all cases in common, and so Criterion's files of them.
#[test]
fn two_runs_of_one_bench_at_once_do_not_mix() {
    let sandbox = Sandbox::with_sweep(31, TRIALS);
    let start = |run_id: &str| {
        let mut command = sandbox.g3_command(&[]);
        command.env("NIGHT_SWEEP_RUN_ID", run_id);
        std::thread::spawn(move || finish(command))
    };
    let together = [start("one"), start("two")];
    let together = together.map(|thread| thread.join().unwrap().succeeded());
    for (ran, run_id) in together.iter().zip(["one", "two"]) {
        assert_eq!(ran.run_id(), run_id);
        assert_valid(&ran.folder());
        let run = sandbox.run(run_id);
        assert_eq!((run.header.run_id.as_str(), run.trials.len()), (run_id, 2 * POINTS));
    }
    // Under one name, one of them is refused.
    let ran = [start("three"), start("three")].map(|thread| thread.join().unwrap());
    let mut codes = ran.each_ref().map(|ran| ran.code);
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(2)], "{}\n{}", ran[0].stderr, ran[1].stderr);
    assert_eq!(sandbox.run("three").trials.len(), 2 * POINTS);
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_the_run() {
    let sandbox = Sandbox::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.g3_command(&[]);
    command.env("NIGHT_SWEEP_RUN_ID", RUN_ID);
    let ended = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(ended.code(), Some(2));
    assert_complete(&sandbox, &sandbox.results().join("G3").join(RUN_ID));

    let output = sandbox.g3_command(&[]).stdout(full()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.matches("standard output cannot be written").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("the run goes on").count(), 1, "{stderr}");
    let line = stderr.lines().last().unwrap();
    assert_contains(line, &["the report is in /", "No space left"]);
}

#[test]
fn criterions_files_cost_a_run_no_more_than_its_estimates() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.criterion_home()).unwrap();
    // In the place of Criterion's folder of the group, so that it cannot write any.
    fs::write(sandbox.criterion_home().join("G3"), "").unwrap();
    let ran = sandbox.g3_as(RUN_ID).succeeded();
    assert_contains(&ran.stdout, &["Criterion's files of 5 rows cannot be read"]);
    assert_valid(&ran.folder());
    assert_eq!(sandbox.run(RUN_ID).trials.len(), 5 * TRIALS);

    // Half a file, as a killed process leaves it.
    let sandbox = Sandbox::new();
    sandbox.g3_as(RUN_ID).succeeded();
    let new = sandbox.criterion_home().join(G3_IDS[0]).join("new");
    fs::write(new.join("sample.json"), "{\"iters\":[1.0,").unwrap();
    let report = sandbox.night_sweep(&["report", RUN_ID]).succeeded();
    assert_contains(&report.stdout, &["Criterion's files of 1 rows"]);
    sandbox.g3(&[]).succeeded();
}

#[test]
fn the_folder_of_another_in_place_of_the_runs_is_refused_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let folder = sandbox.foreign_folder(RUN_ID);
    sandbox.g3_as(RUN_ID).refused_for(&["is not empty"]);
    assert!(!sandbox.criterion_home().exists(), "nothing was measured");
    assert_eq!(names(&folder), ["notes.txt"]);
}
