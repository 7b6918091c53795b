//! The variables that steer a bench: a wrong one is refused before anything is measured.

use crate::sandbox::{Ran, SPEC, Sandbox, assert_contains, finish};
use night_sweep::device::cuda;
use night_sweep::run::settings::VARIABLES;

fn refusal(name: &str, value: &str) -> String {
    let sandbox = Sandbox::new();
    let line = sandbox.g3_with(&[(name, value)], &[]).refused();
    sandbox.assert_untouched();
    line
}

#[test]
fn a_wrong_value_is_refused_with_what_is_allowed() {
    for (name, value, allowed) in [
        ("NIGHT_SWEEP_DEVICE", "gpu", "auto, cpu, cuda or cuda:N"),
        ("NIGHT_SWEEP_DEVICE", "cuda:-1", "auto, cpu, cuda or cuda:N"),
        ("NIGHT_SWEEP_RUN_ID", "a/b", "letters, digits"),
        ("NIGHT_SWEEP_RUN_ID", "..", "not starting with a dot"),
        ("NIGHT_SWEEP_SEED", "1.5", "whole number"),
        ("NIGHT_SWEEP_ENERGY", "true", "yes or no"),
        ("NIGHT_SWEEP_SPEC", "", "unset it"),
        ("NIGHT_SWEEP_RESULTS_ROOT", "", "unset it"),
    ] {
        let line = refusal(name, value);
        assert!(line.contains(&format!("{name}={value:?}")) && line.contains(allowed), "{line}");
    }
}

#[test]
fn a_misspelt_variable_is_refused_with_the_names_there_are() {
    let line = refusal("NIGHT_SWEEP_RESULT_ROOT", "x");
    assert_contains(&line, &["did you mean NIGHT_SWEEP_RESULTS_ROOT?"]);
    assert!(VARIABLES.iter().all(|(name, ..)| line.contains(name)), "{line}");
}

#[test]
fn an_experiment_has_to_exist_and_be_of_the_benchs_type() {
    let line = refusal("NIGHT_SWEEP_EXPERIMENT", "G3_gemm_k_dens");
    assert_contains(&line, &["there are S1_sdpa_dense_sweep, G3_gemm_k_dense"]);
    assert_contains(&line, &["did you mean \"G3_gemm_k_dense\"?"]);
    let line = refusal("NIGHT_SWEEP_EXPERIMENT", "S1_sdpa_dense_sweep");
    assert_contains(&line, &["`cargo bench --bench s1_sdpa_dense`"]);
}

#[test]
fn a_spec_of_ones_own_runs_its_first_entry_or_all_of_the_benchs_types() {
    let sandbox = Sandbox::new();
    let (s1, g3) = SPEC.split_once("  G3_gemm_k_dense:").unwrap();
    let own =
        |name: &str, n: usize| format!("  {name}:{}", g3.replace("N: 16", &format!("N: {n}")));
    let of_one = |ran: Ran, title: &str| assert_contains(&ran.succeeded().stdout, &[title]);
    sandbox.write_spec(&(s1.to_owned() + &own("mine", 32)));
    of_one(sandbox.g3(&["K8$"]), "mine on ");

    sandbox.write_spec(&(s1.to_owned() + &own("mine", 32) + &own("other", 64)));
    of_one(sandbox.g3(&["K8$"]), "mine on ");
    of_one(sandbox.g3_with(&[("NIGHT_SWEEP_EXPERIMENT", "other")], &["K8$"]), "other on ");
    let all = ("NIGHT_SWEEP_EXPERIMENT", "all");
    let ran = sandbox.g3_with(&[all], &["K8$"]).succeeded();
    assert_contains(&ran.stdout, &["mine on ", "other on "]);
    assert!(!ran.stdout.contains("S1_"), "{}", ran.stdout);
    let fault = ("NIGHT_SWEEP_FAULT", "sticky:M16_N32_fp16/K8");
    let ran = sandbox.g3_with(&[all, fault], &[]).succeeded();
    assert_contains(&ran.stdout, &["mine on ", ", 1 failed", "other on "]);
    sandbox
        .g3_with(&[all, ("NIGHT_SWEEP_RUN_ID", "x")], &[])
        .refused_for(&["name one run: give one experiment"]);

    sandbox.write_spec(s1);
    sandbox
        .g3_with(&[("NIGHT_SWEEP_EXPERIMENT", "all")], &[])
        .refused_for(&["NIGHT_SWEEP_EXPERIMENT", "S1_sdpa_dense_sweep of s1_sdpa_dense"]);
    sandbox
        .g3(&[])
        .refused_for(&["NIGHT_SWEEP_EXPERIMENT", "S1_sdpa_dense_sweep of s1_sdpa_dense"]);
}

#[test]
fn without_cuda_auto_says_that_it_measures_the_cpu_and_cuda_is_refused() {
    if cuda::present().is_ok() {
        eprintln!("skipped: there is a GPU");
        return;
    }
    let line = refusal("NIGHT_SWEEP_DEVICE", "cuda");
    assert_contains(&line, &["NIGHT_SWEEP_DEVICE=cpu"]);

    let ran = Sandbox::new().g3_with(&[("NIGHT_SWEEP_DEVICE", "auto")], &["K8$"]);
    let ran = ran.succeeded();
    let said: Vec<_> =
        ran.stderr.lines().filter(|line| line.starts_with("night-sweep: ")).collect();
    assert!(matches!(said[..], [line] if line.contains("measuring the CPU")), "{}", ran.stderr);
    assert_contains(&ran.stdout, &["device: cpu"]);
}

#[test]
fn a_run_id_is_taken_once() {
    let sandbox = Sandbox::new();
    let once = [("NIGHT_SWEEP_RUN_ID", "nightly-7")];
    let ran = sandbox.g3_with(&once, &["K8$"]).succeeded();
    assert_eq!(ran.run_id(), "nightly-7");
    let journal = std::fs::read(sandbox.journal("nightly-7")).unwrap();

    let line = sandbox.g3_with(&once, &["K8$"]).refused();
    assert_contains(&line, &["NIGHT_SWEEP_RESUME=nightly-7"]);
    let both = [once[0], ("NIGHT_SWEEP_RESUME", "nightly-7")];
    let line = sandbox.g3_with(&both, &["K8$"]).refused();
    assert_contains(&line, &["unset NIGHT_SWEEP_RUN_ID"]);
    let line = sandbox.g3_with(&[("NIGHT_SWEEP_RESUME", "nightly-8")], &[]).refused();
    assert_contains(&line, &["cannot resume nightly-8"]);
    assert_eq!(std::fs::read(sandbox.journal("nightly-7")).unwrap(), journal);
    assert_eq!(sandbox.reports(), ["nightly-7"]);
}

#[test]
fn absurd_values_are_refused_in_a_short_line() {
    // As long as Linux lets a variable be, about.
    let long = "9".repeat(130_000);
    let junk = ["-1", "18446744073709551616", "1e309", "\u{1b}[2J\n\r\u{202e}", &long];
    for (name, ..) in VARIABLES {
        for value in junk {
            // Any number is a seed or a run id, if it is short.
            let is_fine =
                matches!((name, value), ("NIGHT_SWEEP_RUN_ID", "1e309" | "18446744073709551616"));
            if is_fine || (name == "NIGHT_SWEEP_RUN_ID" && value == "-1") {
                continue;
            }
            // What names no folder that there is may well become one.
            if name == "NIGHT_SWEEP_RESULTS_ROOT" && value.len() < 30 && !value.contains('\n') {
                continue;
            }
            let line = refusal(name, value);
            assert!(line.len() < 1000, "{name}: {} bytes", line.len());
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
    for (name, value) in
        [("CRITERION_HOME", ""), ("NIGHT_SWEEP_LOST_CASE", "{}"), ("NIGHT_SWEEP_\n", "1")]
    {
        refusal(name, value);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    for name in ["NIGHT_SWEEP_RUN_ID", "NIGHT_SWEEP_SPEC", "NIGHT_SWEEP_RESULTS_ROOT"] {
        let mut command = sandbox.g3_command(&[]);
        command.env(name, std::ffi::OsStr::from_bytes(b"\xff\xfe\n"));
        let line = finish(command).refused();
        assert_contains(&line, &[name, "not valid UTF-8"]);
    }
    sandbox.assert_untouched();
}
