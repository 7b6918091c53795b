//! Criterion's command line: what works as in any bench, and what is refused.

use crate::sandbox::{G3_IDS, Ran, Sandbox, assert_contains, bench};
use crate::support::names;
use std::path::Path;
use std::process::Stdio;

fn lines_starting<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(start)).collect()
}

fn timed(ran: &Ran) -> Vec<&str> {
    let lines = ran.stdout.lines().filter(|line| line.starts_with("G3/") && line.contains("time:"));
    let mut ids: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    ids.sort_by_key(|id| G3_IDS.iter().position(|known| known == id));
    ids
}

#[test]
fn list_prints_the_ids_and_nothing_else() {
    let sandbox = Sandbox::new();
    for arguments in [&["--bench", "--list"][..], &["--list", "--format", "terse"]] {
        let ran = sandbox.g3_plain(arguments).succeeded();
        let lines: Vec<_> = ran.stdout.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, G3_IDS.map(|id| format!("{id}: benchmark")), "{arguments:?}");
        assert_eq!(ran.stderr, "");
    }
    sandbox.assert_untouched();
}

#[test]
fn a_list_that_nobody_reads_on_ends_without_a_word() {
    let sandbox = Sandbox::new();
    let night_sweep = Path::new(env!("CARGO_BIN_EXE_night-sweep"));
    // Criterion prints the list of a bench: the signal of a closed pipe ends that.
    for (program, argument, code) in
        [(bench("g3_gemm_k_dense"), "--list", None), (night_sweep, "list", Some(0))]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.command(program);
        let ended = command.arg(argument).stdout(Stdio::from(writer)).output().unwrap();
        assert_eq!(ended.status.code(), code, "{ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{argument}");
    }
}

/// Criterion's arguments are read twice, by Criterion and by the suite: what either misses shows
/// here.
#[test]
fn no_flag_hides_what_follows_it() {
    let sandbox = Sandbox::new();
    for flag in [
        &["-v"][..],
        &["--noplot"],
        &["--colour", "never"],
        &["--discard-baseline"],
        &["--nocapture"],
        &["--show-output"],
        &["--include-ignored"],
        &["-b", "x"],
        &["--noise-threshold=0.1"],
    ] {
        let ran = sandbox.g3(&[flag, &["--list", "K1[01]"]].concat()).succeeded();
        let lines: Vec<_> = ran.stdout.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, [2, 3].map(|at| format!("{}: benchmark", G3_IDS[at])), "{flag:?}");
    }
    sandbox.assert_untouched();
}

#[test]
fn a_filter_chooses_cases() {
    let sandbox = Sandbox::new();
    let ran = sandbox.g3(&["K1[02]"]).succeeded();
    assert_eq!(timed(&ran), ["G3/M16_N16_fp16/K10", "G3/M16_N16_fp16/K12"]);
    assert_contains(&ran.stdout, &[": 2 points, 0 failed"]);
    assert_eq!(names(&sandbox.criterion_home().join("G3/M16_N16_fp16")), ["K10", "K12"]);

    let sandbox = Sandbox::new();
    sandbox.g3(&["K107"]).refused_for(&["no case", "--list"]);
    sandbox.assert_untouched();
}

#[test]
fn test_launches_each_case_and_measures_none() {
    let sandbox = Sandbox::new();
    for arguments in [&["--bench", "--test"][..], &["--test"], &[]] {
        let ran = sandbox.g3_plain(arguments).succeeded();
        assert_eq!(lines_starting(&ran.stdout, "Testing "), G3_IDS, "{arguments:?}");
        assert_eq!(lines_starting(&ran.stdout, "Success").len(), G3_IDS.len());
        assert!(!ran.stdout.contains("time:"), "{}", ran.stdout);
    }
    let profiled = sandbox.g3(&["--profile-time", "1", "K8$"]).succeeded();
    assert!(!profiled.stdout.contains("time:"), "{}", profiled.stdout);
    sandbox.assert_untouched();
}

#[test]
fn baselines_are_saved_compared_and_loaded() {
    let sandbox = Sandbox::new();
    let cases = G3_IDS.len();
    let saved = sandbox.g3(&["--save-baseline", "x"]).succeeded();
    assert!(!saved.stdout.contains("change:"), "{}", saved.stdout);

    let compared = sandbox.g3(&["--baseline", "x"]).succeeded();
    assert_eq!(timed(&compared), G3_IDS);
    assert_eq!(compared.stdout.matches("change:").count(), cases, "{}", compared.stdout);

    let runs = sandbox.reports();
    let loaded = sandbox.g3(&["--load-baseline", "x", "--baseline", "x"]).succeeded();
    assert_eq!(timed(&loaded), G3_IDS);
    assert_eq!(loaded.stdout.matches("change:").count(), cases, "{}", loaded.stdout);
    assert_eq!(sandbox.reports(), runs, "loading is no run");

    for arguments in [
        &["--baseline", "nosuch"][..],
        &["--load-baseline", "x", "--baseline", "nosuch"],
        &["--load-baseline", "nosuch", "--baseline", "x"],
    ] {
        let says = ["5 of 5 cases have no baseline \"nosuch\"", "--save-baseline nosuch"];
        sandbox.g3(arguments).refused_for(&says);
        assert_eq!(sandbox.reports(), runs, "refused before measuring");
    }
}

#[test]
fn options_without_effect_are_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    for (option, reason) in [
        (&["--quick"][..], "one launch a sample"),
        (&["--sample-size", "50"], "`measure` and `trials`"),
        (&["--measurement-time=1"], "`measure` and `trials`"),
        (&["--warm-up-time", "1"], "`warmup`"),
        (&["--plotting-backend", "plotters"], "its own plots"),
        (&["--save-baseline", "new"], "files of its own"),
        (&["--save-baseline", "../x"], "letters, digits"),
        (&["--baseline="], "letters, digits"),
    ] {
        sandbox.g3(option).refused_for(&[reason]);
    }
    sandbox.assert_untouched();
}

#[test]
fn what_criterion_does_not_know_is_an_error() {
    let sandbox = Sandbox::new();
    for (argument, part) in [("--nonsense", "unexpected argument '--nonsense'"), ("K(1", "K(1")] {
        let ran = sandbox.g3(&[argument]);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{argument}");
        assert!(ran.stderr.contains(part) && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    let help = sandbox.g3_plain(&["--help"]).succeeded();
    assert_contains(&help.stdout, &["--save-baseline"]);
    sandbox.assert_untouched();
}
