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
    for (program, argument) in [(bench("g3_gemm_k_dense"), "--list"), (night_sweep, "list")] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.command(program);
        let ended = command.arg(argument).stdout(Stdio::from(writer)).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
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
    for option in [&["--quick"][..], &["--sample-size", "10"], &["--warm-up-time", "0"]] {
        sandbox.g3(option).refused_for(&[option[0], "NIGHT_SWEEP_PROTOCOL=adaptive", "--test"]);
    }
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
    let says = ["--save-baseline", "--quick, --sample-size", "NIGHT_SWEEP_PROTOCOL=adaptive"];
    assert_contains(&help.stdout, &says);
    assert!(!help.stdout.contains("  --quick"), "it is offered:\n{}", help.stdout);
    sandbox.assert_untouched();
}

/// Criterion panics at some of them.
#[test]
fn every_value_of_an_option_is_taken_or_refused_in_one_line() {
    let sandbox = Sandbox::new();
    let fractions = &["0", "-1", "1", "nan", "inf", "1e30", "x", ""];
    for (option, values) in [
        ("--nresamples", &["0", "1", "-1", "0.5", "1e3", "10000000", "99999999999999999999"][..]),
        ("--confidence-level", fractions),
        ("--significance-level", fractions),
        ("--noise-threshold", &["0", "-0.1", "nan", "inf", "1e30", "x"]),
        ("--profile-time", &["0", "0.5", "-1", "nan", "inf", "1e30", "x"]),
        ("--sample-size", &["0", "-1", "x"]),
        ("--warm-up-time", &["0", "-1", "nan"]),
        ("--measurement-time", &["0", "-1", "inf"]),
        ("--output-format", &["", "json"]),
        ("--color", &["", "blue"]),
        ("--format", &["json"]),
        ("--plotting-backend", &["", "x"]),
    ] {
        for value in values {
            sandbox.g3(&[option, value]).refused_for(&[option]);
        }
        sandbox.g3(&[option]).refused_for(&[option]);
    }
    for both in [["--list", "--test"], ["--test", "--profile-time=1"], ["--verbose", "--quiet"]] {
        sandbox.g3(&both).refused_for(&["cannot be used with"]);
    }
    sandbox.g3(&["--load-baseline", "x"]).refused_for(&["--baseline"]);
    sandbox.assert_untouched();
    let fine = "--nresamples 100 --confidence-level 0.5 --significance-level 0.5 \
                --noise-threshold 0.5 --color always --output-format criterion K8$";
    sandbox.g3(&fine.split_whitespace().collect::<Vec<_>>()).succeeded();
}

/// As nextest asks, which lists what is ignored as well.
#[test]
fn nothing_is_ignored() {
    let sandbox = Sandbox::new();
    let ran = sandbox.g3_plain(&["--list", "--format", "terse", "--ignored"]).succeeded();
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
    sandbox.assert_untouched();
}
