//! The commands of `night-sweep`.

use crate::sandbox::{SPEC, Sandbox, assert_contains};
use crate::support::assert_valid;
use night_sweep::device::cuda;
use night_sweep::run::settings::VARIABLES;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn help_names_every_variable() {
    let help = Sandbox::new().night_sweep(&["--help"]).succeeded().stdout;
    for (name, takes, does) in VARIABLES {
        for text in [name, takes, does] {
            assert!(help.contains(text), "{text}:\n{help}");
        }
    }
    for command in ["report", "list", "validate", "env"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    for wrong in [&[][..], &["nonsense"], &["validate"], &["list", "--nonsense"]] {
        let ran = Sandbox::new().night_sweep(wrong);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{wrong:?}");
        assert_contains(&ran.stderr, &["Usage: night-sweep"]);
    }
}

#[test]
fn list_names_each_experiment_and_the_bench_that_runs_it() {
    let sandbox = Sandbox::new();
    let list = sandbox.night_sweep(&["list", "--spec", "spec.yaml"]).succeeded().stdout;
    for (name, bench) in
        [("S1_sdpa_dense_sweep", "s1_sdpa_dense"), ("G3_gemm_k_dense", "g3_gemm_k_dense")]
    {
        let command = format!("NIGHT_SWEEP_EXPERIMENT={name} cargo bench --bench {bench}\n");
        assert_contains(&list, &[&command]);
    }
    let tsv = sandbox.night_sweep(&["list", "--format", "tsv"]).succeeded().stdout;
    let line = "S1_sdpa_dense_sweep\tsdpa_dense\tS1\ts1_sdpa_dense\n";
    assert!(tsv.starts_with(line) && tsv.lines().count() == 2, "{tsv}");
    sandbox
        .night_sweep(&["list", "--spec", "nosuch.yaml"])
        .refused_for(&["nosuch.yaml: cannot be read"]);
}

#[test]
fn validate_says_what_is_wrong_with_each() {
    let sandbox = Sandbox::new();
    let good = sandbox.night_sweep(&["validate", "spec.yaml"]).succeeded();
    assert_eq!(good.stdout, "spec.yaml: 2 experiments\n");

    let ours = |name: &str| format!("{}/experiments/{name}", env!("CARGO_MANIFEST_DIR"));
    let (gpu, cpu) = (&*ours("night_sweep.yaml"), &*ours("night_sweep_cpu.yaml"));
    sandbox.night_sweep(&["validate", gpu, cpu]).succeeded();

    sandbox.write_spec(&SPEC.replace("warmup: 1\n    measure: 2", "warmup: 1\n    measure: 0"));
    let bad = sandbox.night_sweep(&["validate", "spec.yaml", gpu, "nosuch.yaml"]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stdout.starts_with(gpu) && bad.stdout.lines().count() == 1, "{}", bad.stdout);
    let lines: Vec<_> = bad.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", bad.stderr);
    assert!(lines[0].contains("spec.yaml:7:14: ") && lines[0].contains("measure"), "{}", lines[0]);
    assert!(lines[1].contains("nosuch.yaml: cannot be read"), "{}", lines[1]);
    assert!(lines[2].contains("2 of 3 specs"), "{}", lines[2]);
}

#[test]
fn entries_of_other_types_are_named_and_a_spec_of_nothing_else_is_refused() {
    let sandbox = Sandbox::new();
    let other = "  X_x: {type: gemm, sizes: [1]}\n";
    let named = "spec.yaml: left out: X_x is of type \"gemm\", which is not run here; allowed are";
    sandbox.write_spec(&format!("{SPEC}{other}"));
    for command in [&["validate", "spec.yaml"][..], &["list"], &["list", "--format", "tsv"]] {
        let ran = sandbox.night_sweep(command).succeeded();
        assert_contains(&ran.stderr, &[named, "did you mean \"gemm_"]);
        assert!(!ran.stdout.contains("X_x"), "{}", ran.stdout);
    }
    sandbox.write_spec(&format!("experiments:\n{other}"));
    for command in [&["validate", "spec.yaml"][..], &["list"], &["run", "--all"], &["run", "X_x"]] {
        let ran = sandbox.night_sweep(command);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{command:?}");
        assert_contains(&ran.stderr, &["nothing in it can be run: X_x is of type \"gemm\""]);
    }
    sandbox.write_spec("infer_sweep: {batch: [1, 4]}\nppl: {block_size: 512}\n");
    let says = "spec.yaml:1:1: there is no key `experiments`, but infer_sweep, ppl: nothing";
    assert_contains(&sandbox.night_sweep(&["validate", "spec.yaml"]).stderr, &[says]);
}

#[test]
fn env_describes_the_machine() {
    let sandbox = Sandbox::new();
    let env = sandbox.night_sweep(&["env", "--device", "cpu"]).succeeded();
    assert_eq!(env.stderr, "");
    let value: Value = serde_json::from_str(&env.stdout).unwrap();
    assert!(value["gpu"].is_null() && value["host"]["cores"].as_u64() > Some(0), "{value}");
    assert_eq!(value["software"]["night_sweep"], env!("CARGO_PKG_VERSION"));
    sandbox.night_sweep(&["env", "--device", "gpu"]).refused_for(&["auto, cpu, cuda or cuda:N"]);
    if cuda::present().is_err() {
        let auto = sandbox.night_sweep(&["env"]).succeeded();
        assert_contains(&auto.stderr, &["measuring the CPU"]);
        sandbox.night_sweep(&["env", "--device", "cuda"]).refused();
    }
}

#[test]
fn report_needs_a_run() {
    let sandbox = Sandbox::new();
    for (run, says) in [
        (&[][..], &["there is no run yet", "`cargo bench`"][..]),
        (&["nosuch"], &["nosuch/journal.jsonl"]),
        (&["../nosuch"], &["is no journal, no run's folder and no run id"]),
        (&["spec.yaml"], &["spec.yaml:1: not a line of a run journal"]),
    ] {
        sandbox.night_sweep(&[&["report"], run].concat()).refused_for(says);
    }
    sandbox.assert_untouched();
}

#[test]
fn report_writes_the_same_folder_again() {
    let sandbox = Sandbox::new();
    let first = sandbox.g3(&["K8$"]).succeeded();
    let second = sandbox.g3(&["K9$"]).succeeded();
    let journal = sandbox.journal(&first.run_id());
    for (run, arguments) in [
        (&second, vec!["report"]),
        (&first, vec!["report", &first.run_id()]),
        (&first, vec!["report", journal.to_str().unwrap()]),
        (&first, vec!["report", journal.parent().unwrap().to_str().unwrap()]),
        (&first, vec!["report", first.folder().to_str().unwrap()]),
    ] {
        let report = sandbox.night_sweep(&[&arguments[..], &["--results-root", "again"]].concat());
        let report = report.succeeded();
        assert_eq!(report.run_id(), run.run_id(), "{arguments:?}");
        assert!(
            run.stdout
                .ends_with(&report.stdout.replace("again", sandbox.results().to_str().unwrap()))
        );
        let again = sandbox.spec().parent().unwrap().join(report.folder());
        assert_valid(&again);
        for name in ["config.json", "env.json", "raw.json", "summary.json"] {
            let read = |folder: &Path| -> Value {
                let text = fs::read_to_string(folder.join(name)).unwrap();
                let mut file: Value = serde_json::from_str(&text).unwrap();
                // How long the report itself took is another time each.
                file.as_object_mut().unwrap().remove("breakdown");
                file
            };
            assert_eq!(read(&again), read(&run.folder()), "{name}");
        }
    }
}

#[test]
fn a_baseline_new_holds_what_the_newest_run_measured() {
    let sandbox = Sandbox::new();
    let g3 = ["run", "G3_gemm_k_dense"];
    sandbox.night_sweep(&[&g3[..], &["--", "--save-baseline", "main"]].concat()).succeeded();
    sandbox.night_sweep(&[&g3[..], &["--fault", "sticky:/K8"]].concat()).succeeded();
    // Criterion keeps the sample of the run before: it would be compared with itself.
    let group = sandbox.criterion_home().join("G3/M16_N16_fp16");
    assert!(group.join("K8/new/sample.json").exists());
    let compare = || sandbox.night_sweep(&["compare", "--criterion", "main", "new"]);
    let ran = compare().ended_with(1);
    assert_contains(&ran.stdout, &["1 NOW_FAILS", "G3/M16_N16_fp16/K8", "fault injection"]);

    // A run of some cases leaves the others as they were.
    sandbox.night_sweep(&[&g3[..], &["--", "--save-baseline", "other"]].concat()).succeeded();
    sandbox.night_sweep(&[&g3[..], &["--", "K9"]].concat()).succeeded();
    let some = ["compare", "--criterion", "other", "new"];
    let lacks = sandbox.night_sweep(&some).ended_with(1);
    let says = ["4 ONLY_IN_BASE", "4 cases of new are those of other", "--allow-missing"];
    assert_contains(&lacks.stdout, &says);
    let allowed = sandbox.night_sweep(&[&some[..], &["--allow-missing"]].concat());
    assert!(allowed.code != Some(1) && !allowed.stdout.contains("--allow-missing"));

    sandbox.night_sweep(&[&g3[..], &["--fault", "sticky:/K8"]].concat()).succeeded();
    std::fs::write(group.join("K9/new/sample.json"), "{").unwrap();
    std::fs::remove_file(group.join("K10/new/estimates.json")).unwrap();
    let ran = compare().ended_with(1);
    let says = ["1 NOW_FAILS", "K9/new/sample.json", "K10/new: estimates.json is missing"];
    assert_contains(&ran.stdout.replace("\n  ", " "), &says);
    assert!(ran.stdout.contains("of 3 cases") && !ran.stdout.contains("ONLY_IN"), "{}", ran.stdout);
}

#[test]
fn what_a_missing_baseline_advises_can_be_typed() {
    let sandbox = Sandbox::new();
    let load = ["--load-baseline", "new", "--baseline", "a"];
    let refused = sandbox.g3(&load);
    let line = refused.refused();
    assert!(!line.contains("--save-baseline new") && line.contains("run the bench once without"));
    sandbox.g3(&["--save-baseline", "a"]).succeeded();
    sandbox.g3(&["--baseline", "b"]).refused_for(&["`-- --save-baseline b`"]);
    sandbox.g3(&["--baseline", "change"]).refused_for(&["--baseline change: "]);
    for (name, says) in [("b", "--save-baseline b`"), ("change", "are no times")] {
        sandbox.night_sweep(&["compare", "--criterion", "new", name]).refused_for(&[says]);
    }
    sandbox.g3(&load).succeeded();
}
