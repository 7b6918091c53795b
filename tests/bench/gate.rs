//! `night-sweep gate` over real processes of a bench. Slowdowns here are manifold: what a machine's
//! noise hides is for the simulations.

use crate::sandbox::{G3_IDS, Ran, Sandbox, assert_contains, bench};
use crate::support::{assert_matches_schema, json, names};
use night_sweep::compare::Verdict;
use night_sweep::compare::comparison::{Comparison, Kind, Outcome};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// The arguments of a gate of the G3 bench with itself, by one trial a process.
fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let executable = bench("g3_gemm_k_dense").to_str().unwrap();
    let own = ["gate", "--base", executable, "--bench", "g3_gemm_k_dense", "--trials", "1"];
    let against: &[&str] = if more.contains(&"--aa") { &[] } else { &["--cand", executable] };
    [&own[..], against, more].concat()
}

fn gate(sandbox: &Sandbox, more: &[&str]) -> Ran {
    sandbox.night_sweep(&arguments(more))
}

fn comparison(sandbox: &Sandbox, out: &str) -> Comparison {
    let file = sandbox.dir().join(out).join("comparison.json");
    assert_matches_schema(&file, "comparison");
    serde_json::from_value(json(&file)).unwrap()
}

#[test]
fn a_slow_case_is_found_and_no_other() {
    let sandbox = Sandbox::new();
    let fault = "NIGHT_SWEEP_FAULT=slow:K9:900";
    let ran =
        gate(&sandbox, &["--cand-env", fault, "--threshold", "60%", "--out", "out"]).ended_with(1);
    let found = comparison(&sandbox, "out");
    assert_eq!((found.kind, found.outcome), (Kind::Gate, Outcome::Regressed));
    let failing: Vec<(&str, Verdict)> =
        found.failing().map(|row| (&*row.case_id, row.verdict)).collect();
    assert_eq!(failing, [(G3_IDS[1], Verdict::Regressed)]);
    assert_eq!(found.rows.len(), G3_IDS.len());
    let slow = &found.rows[0];
    assert!(slow.ratio.unwrap() > 2.0 && slow.pairs >= Some(6), "{slow:?}");
    assert_eq!(found.mismatches[0].cand, fault);
    assert!(ran.stdout.ends_with("Regressed: 1 of 5 cases.\n"), "{}", ran.stdout);
    assert!(!sandbox.dir().join("target/night-sweep-gate/g3_gemm_k_dense").exists());
}

#[test]
fn a_gate_that_was_killed_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let more = ["--threshold", "60%", "--state", "state", "--out", "out"];
    let mut child = sandbox.night_sweep_command(&arguments(&more)).spawn().unwrap();
    let state = sandbox.dir().join("state");
    let start = Instant::now();
    while !state.join("screen-02.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(start.elapsed() < Duration::from_secs(100));
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(state.join("notes.txt"), "precious").unwrap();
    // Another gate does not take its pairs for its own.
    let other = gate(&sandbox, &["--seed", "7", "--state", "state"]);
    assert!(other.refused().contains("another gate was interrupted here"));

    let ran = gate(&sandbox, &more).ended_with(0);
    assert!(!ran.stderr.contains("screen pair 2:"), "{}", ran.stderr);
    assert_contains(&ran.stderr, &["screen pair 4:"]);
    assert_eq!(comparison(&sandbox, "out").outcome, Outcome::Passed);
    assert_eq!(names(&state), [".night-sweep", "notes.txt"], "no process is left either");
    assert_contains(&ran.stderr, &["notes.txt"]);
}

#[test]
fn the_noise_floor_is_found_and_no_gate_goes_below_it() {
    let sandbox = Sandbox::new();
    let floor = ["--noise-floor", "floor.json"];
    gate(&sandbox, &[&["--aa", "--threshold", "60%", "--out", "out"], &floor[..]].concat())
        .ended_with(0);
    assert_eq!(comparison(&sandbox, "out").kind, Kind::NoiseFloor);
    let found = json(&sandbox.dir().join("floor.json"));
    assert_eq!(found["gates"], 1);
    let seen = |case: &str| found["cases"][case]["mde_pct"].as_f64().unwrap();
    assert!(G3_IDS.iter().all(|id| seen(id) > 0.0), "{found}");

    let ran = gate(&sandbox, &[&["--threshold", "0.01%"], &floor[..]].concat()).ended_with(2);
    assert_contains(&ran.stderr, &["below the noise floor"]);
}

#[test]
fn what_cannot_run_is_refused_in_a_line() {
    let sandbox = Sandbox::new();
    for (more, says) in [
        (["--threshold", "0%"], "--threshold"),
        (["--filter", "nothing"], "no case"),
        (["--cand-env", "NIGHT_SWEEP_FAULT=slow"], "slow:<part of an id>:<percent>"),
    ] {
        gate(&sandbox, &more).refused_for(&[says]);
    }
    sandbox
        .night_sweep(&["gate", "--aa", "--base", ".", "--bench", "g3"])
        .refused_for(&["cargo bench --no-run --bench g3"]);
}

/// As `| head` does once it has enough.
#[test]
fn a_reader_that_has_closed_the_pipe_ends_nothing_with_a_panic() {
    let sandbox = Sandbox::new();
    let threshold = ["--aa", "--threshold", "60%", "--out", "out"];
    for arguments in [arguments(&threshold), vec!["env", "--device", "cpu"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sandbox.night_sweep_command(&arguments).stdout(writer).output().unwrap();
        let ran = Ran::from(output).succeeded();
        assert!(!ran.stderr.contains("panic"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(comparison(&sandbox, "out").outcome, Outcome::Passed);
}

#[test]
fn night_sweep_itself_takes_the_place_of_a_bench() {
    let sandbox = Sandbox::new();
    // A `night-sweep` that becomes the bench it is told to be, by way of the real one.
    let one = "one";
    fs::create_dir(sandbox.dir().join(one)).unwrap();
    let told = "[ \"$NIGHT_SWEEP_RUN_BENCH\" = g3_gemm_k_dense ] || exit 9";
    sandbox.script("one/night-sweep", &format!("{told}\nunset NIGHT_SWEEP_RUN_BENCH"));
    let common = ["--bench", "g3_gemm_k_dense", "--trials", "1", "--threshold", "60%"];
    let gate = [&["gate", "--base", one, "--cand", "one/night-sweep"], &common[..]].concat();
    sandbox.night_sweep(&[&gate[..], &["--out", "out"]].concat()).succeeded();
    assert_eq!(comparison(&sandbox, "out").rows.len(), G3_IDS.len());

    let fan_out = ["fan-out", "--gpus", "cpu:2", "--build", one, "g3_gemm_k_dense"];
    let ran = sandbox.night_sweep(&fan_out).succeeded();
    assert_eq!(ran.json("raw")["measurements"].as_array().unwrap().len(), 5);
}

#[test]
fn what_the_gate_did_not_make_is_refused_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir();
    fs::create_dir_all(dir.join("mine/sub")).unwrap();
    fs::write(dir.join("mine/thesis.tex"), "precious").unwrap();
    fs::create_dir(dir.join("marked")).unwrap();
    fs::create_dir(dir.join("marked/.night-sweep")).unwrap();
    fs::create_dir(dir.join("linked")).unwrap();
    fs::write(dir.join("mark"), "night-sweep: the state of a gate\n\n").unwrap();
    symlink(dir.join("mark"), dir.join("linked/.night-sweep")).unwrap();
    symlink(dir.join("mine"), dir.join("link")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    let before = names(dir);
    for (more, says) in [
        (&["--state", "mine"][..], "--state: mine is not empty"),
        (&["--state", "mine/"], "--state: mine is not empty"),
        (&["--state", "marked"], "is not empty"),
        (&["--state", "linked"], "is not empty"),
        (&["--state", "link/"], "is a symbolic link"),
        (&["--state", "spec.yaml"], "the spec "),
        (&["--state", "mine/thesis.tex"], "is a file"),
        (&["--state", "."], "the current folder . is in --state"),
        (&["--state", ".."], "the current folder . is in --state"),
        (&["--out", "."], "is in --out ."),
        (&["--out", "mine"], "--out: mine is not empty"),
        (&["--out", "link/"], "--out: link is a symbolic link"),
        (&["--out", "mine/thesis.tex"], "--out: mine/thesis.tex is a file"),
        (&["--state", "new", "--out", "new/out"], "--out new/out is in --state new"),
        (&["--state", "new/state", "--out", "new"], "--state new/state is in --out new"),
        (&["--state", "empty/", "--out", "empty"], "is in --state"),
        (&["--state", "new", "--noise-floor", "new/floor.json"], "--noise-floor new/floor.json"),
        (&["--out", "new", "--noise-floor", "new/floor.json"], "--noise-floor new/floor.json"),
        (&["--bench", "../.."], "is no name of a bench"),
        (&["--bench", "."], "is no name of a bench"),
        (&["--noise-floor", "spec.yaml"], "is no noise floor"),
    ] {
        // The name of the bench is given once.
        let arguments = match more[0] {
            "--bench" => {
                let executable = bench("g3_gemm_k_dense").to_str().unwrap();
                [&["gate", "--aa", "--base", executable], more].concat()
            }
            _ => arguments(more),
        };
        let line = sandbox.night_sweep(&arguments).refused();
        assert!(line.contains(says), "{more:?}: {line}");
    }
    assert_eq!(names(dir), before);
    assert_eq!(names(&dir.join("mine")), ["sub", "thesis.tex"]);
    assert!(names(&dir.join("empty")).is_empty());
    sandbox.assert_untouched();
}
