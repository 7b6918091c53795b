//! `night-sweep gate` over real processes of a bench. Slowdowns here are manifold: what a machine's
//! noise hides is for the simulations.

use crate::sandbox::wait_until;
use crate::sandbox::{G3_IDS, Ran, Sandbox, assert_contains, bench, ended, pid_in, send, start};
use crate::support::{assert_matches_schema, json, names};
use night_sweep::compare::Verdict;
use night_sweep::compare::comparison::{Comparison, Kind, Outcome};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Child;

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
    wait_until("a second pair", || state.join("screen-02.json").exists());
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
    fs::remove_dir_all(sandbox.dir().join("target")).unwrap();

    // All in quarantine: it raises what fails a case, and covers no more.
    let mut known = found.clone();
    for id in G3_IDS {
        known["cases"][id] = serde_json::json!({ "mde_pct": 61.0, "unconfirmed": 4.0 });
    }
    fs::write(sandbox.dir().join("floor.json"), known.to_string()).unwrap();
    let slow = ["--cand-env", "NIGHT_SWEEP_FAULT=slow:K9:900", "--threshold", "60%"];
    let ran = gate(&sandbox, &[&slow[..], &floor].concat()).ended_with(1);
    let told = ran.stdout.replace("\n  ", " ");
    assert_contains(&told, &["5 of 5 cases are in quarantine", "Regressed: 1 of 5 cases."]);
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

/// A gate of the base with a candidate that runs `lines` of shell first, in the folder `state`.
fn against(sandbox: &Sandbox, lines: &str, more: &[&str]) -> (PathBuf, Vec<String>) {
    let cand = sandbox.script("cand", lines);
    let own = ["--state", "state", "--threshold", "60%"];
    let mut arguments: Vec<String> =
        arguments(&[&own[..], more].concat()).into_iter().map(str::to_owned).collect();
    let at = arguments.iter().position(|argument| argument == "--cand").unwrap();
    arguments[at + 1] = cand.to_str().unwrap().to_owned();
    (cand, arguments)
}

fn begin(sandbox: &Sandbox, arguments: &[String]) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    start(sandbox.night_sweep_command(&arguments))
}

#[test]
fn signals_end_a_gate_and_its_bench_and_the_pairs_stay() {
    let sandbox = Sandbox::new();
    let pid = sandbox.dir().join("pid");
    // Somebody's wrapper may leave processes of its own.
    let lines = "sleep 1000 & echo $! > left; echo $$ > pid";
    let (_, arguments) = against(&sandbox, lines, &["--out", "out"]);
    for (signal, code) in [("TERM", 75), ("HUP", 75), ("USR1", 75), ("INT", 130)] {
        let child = begin(&sandbox, &arguments);
        let first = sandbox.dir().join("state/screen-01.json");
        wait_until("a pair and a bench", || first.exists() && pid_in(&pid).is_some());
        if signal == "TERM" {
            let second = ended(begin(&sandbox, &arguments));
            assert!(second.refused().contains("this gate is under way"));
        }
        send(signal, &child);
        let ran = ended(child).ended_with(code);
        assert_contains(&ran.stderr, &["the same command goes on with its pairs"]);
        assert!(first.exists() && !sandbox.dir().join("out").exists());
        wait_until("nothing is left", || pid_in(&sandbox.dir().join("left")).is_none());
        fs::remove_file(&pid).unwrap();
    }
    let ran = ended(begin(&sandbox, &arguments)).ended_with(0);
    assert!(!ran.stderr.contains("screen pair 1:"), "{}", ran.stderr);
}

#[test]
fn a_bench_that_hangs_is_ended_and_no_answer_given() {
    let sandbox = Sandbox::new();
    // Its own child, too.
    let hangs = "[ \"$NIGHT_SWEEP_SEED\" = 43 ] && { sleep 1000 & echo $! > pid; wait; }";
    let (_, arguments) = against(&sandbox, hangs, &["--limit-s", "20"]);
    let ran = ended(begin(&sandbox, &arguments)).ended_with(3);
    assert_contains(&ran.stderr, &["cand was ended: it did not finish within 20 s", "--limit-s"]);
    assert!(sandbox.dir().join("state/screen-01.json").exists());
    wait_until("its child is gone", || pid_in(&sandbox.dir().join("pid")).is_none());
}

#[test]
fn no_bench_outlives_a_gate_and_one_that_is_paused_is_told_of() {
    let sandbox = Sandbox::new();
    let pid = sandbox.dir().join("pid");
    let (_, arguments) = against(&sandbox, "echo $$ > pid; kill -STOP $$", &[]);
    let mut child = begin(&sandbox, &arguments);
    // It stops already as it is asked for its cases.
    wait_until("a bench", || pid_in(&pid).is_some());
    std::thread::sleep(std::time::Duration::from_millis(500));
    child.kill().unwrap();
    let stderr = ended(child).stderr;
    assert_contains(&stderr, &["was paused (SIGSTOP): `kill -CONT "]);
    wait_until("the bench is gone", || pid_in(&pid).is_none());

    // One that is asked to stop does so, paused or not.
    let child = begin(&sandbox, &arguments);
    wait_until("a bench", || pid_in(&pid).is_some());
    send("TERM", &child);
    ended(child).ended_with(75);
    assert_eq!(pid_in(&pid), None);
}

#[test]
fn what_changed_since_a_gate_began_is_refused() {
    let sandbox = Sandbox::new();
    let changes = "[ \"$NIGHT_SWEEP_SEED\" = 43 ] && [ -e changes ] && echo '#' >> \"$0\"; true";
    let (cand, arguments) = against(&sandbox, changes, &[]);
    let text = fs::read_to_string(&cand).unwrap();
    let modified = fs::metadata(&cand).unwrap().modified().unwrap();
    let write = |text: &str| {
        fs::write(&cand, text).unwrap();
        fs::File::open(&cand).unwrap().set_modified(modified).unwrap();
    };
    fs::write(sandbox.dir().join("changes"), "").unwrap();
    let refused = ended(begin(&sandbox, &arguments)).ended_with(2);
    assert_contains(&refused.stderr, &["cand changed while the gate ran"]);
    assert_eq!(names(&sandbox.dir().join("state")).iter().filter(|n| n.contains("-0")).count(), 1);
    fs::remove_file(sandbox.dir().join("changes")).unwrap();

    // Of the same size and time.
    write(&text.replace("43", "44"));
    let line = ended(begin(&sandbox, &arguments)).refused();
    assert!(line.contains("(cand.sha256 differ)"), "{line}");
    write(&text);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = sandbox.night_sweep_command(&arguments);
    command.env("LD_LIBRARY_PATH", "/nowhere").env("RAYON_NUM_THREADS", "1");
    let line = Ran::from(command.output().unwrap()).refused();
    assert!(line.contains("environment.RAYON_NUM_THREADS differ)"), "{line}");
    assert!(line.contains("environment.LD_LIBRARY_PATH, "), "{line}");
    sandbox.night_sweep(&arguments).ended_with(0);
}

#[test]
fn a_case_that_fails_in_some_processes_and_one_that_is_missing_fail() {
    let sandbox = Sandbox::new();
    let fails = "[ \"$NIGHT_SWEEP_SEED\" = 42 ] || export NIGHT_SWEEP_FAULT=sticky:/K9";
    let (_, arguments) = against(&sandbox, fails, &["--out", "out"]);
    ended(begin(&sandbox, &arguments)).ended_with(1);
    let found = comparison(&sandbox, "out");
    let row = found.failing().next().unwrap();
    assert_eq!((&*row.case_id, row.verdict), (G3_IDS[1], Verdict::NowFails));
    assert!(row.remarks[0].starts_with("candidate, 5 of 6 processes: "), "{row:?}");

    let lacks = "sed 's/^\\( *- \\)12$/\\110/' \"$NIGHT_SWEEP_SPEC\" > less.yaml\nexport \
                 NIGHT_SWEEP_SPEC=$PWD/less.yaml";
    let (_, mut arguments) = against(&sandbox, lacks, &["--out", "out"]);
    ended(begin(&sandbox, &arguments)).ended_with(1);
    let found = comparison(&sandbox, "out");
    let lost: Vec<&str> = found.failing().map(|row| &*row.case_id).collect();
    assert_eq!(lost, [G3_IDS[3], G3_IDS[4]]);
    assert_eq!(found.counts[&Verdict::OnlyInBase], 2);
    // What is left passes, or on a busy machine cannot be judged.
    arguments.push("--allow-missing".to_owned());
    let ran = ended(begin(&sandbox, &arguments));
    assert!([Some(0), Some(3)].contains(&ran.code), "{}", ran.stdout);
}

/// With nothing beside it a case is found, or not judged; it does not pass.
#[test]
fn a_single_case_that_got_slower_does_not_pass() {
    let sandbox = Sandbox::new();
    let more = ["--filter", "K9$", "--cand-env", "NIGHT_SWEEP_FAULT=slow:K9:40"];
    let ran = gate(&sandbox, &more);
    assert!([Some(1), Some(3)].contains(&ran.code), "{}", ran.stdout);
}

/// Most got slower: beside those, the others seem to be faster.
#[test]
fn cases_that_did_not_change_are_not_improved_because_others_got_slower() {
    let sandbox = Sandbox::new();
    let fault = "NIGHT_SWEEP_FAULT=slow:K8|K9|K10:900";
    let more = ["--cand-env", fault, "--threshold", "60%", "--out", "out"];
    gate(&sandbox, &more).ended_with(1);
    let found = comparison(&sandbox, "out");
    assert!(found.suite.is_slower && !found.counts.contains_key(&Verdict::Improved), "{found:?}");
    for row in &found.rows {
        let is_slow = G3_IDS[..3].contains(&&*row.case_id);
        assert_eq!(row.ratio.unwrap() > 2.0, is_slow, "{row:?}");
        assert!(is_slow || !row.fails, "{row:?}");
    }
}
