//! M1 on the processor: measured, resumed, in shards.

use crate::Model;
use crate::sandbox::{Sandbox, assert_contains, assert_each_once};
use crate::support::{RUN_FOLDER, Ran, assert_valid, json, names};
use night_sweep::journal;
use serde_json::Value;
use std::fs;

/// A spec of the small model with few launches.
fn sandbox() -> Sandbox {
    let (model, sandbox) = (Model::new(), Sandbox::new());
    let spec = model.text("spec.yaml");
    let tokens = ["--tokens", "1,4", "--decode-up-to", "1", "--context", "16"];
    model.compressed(&[&["--spec", &*spec], &tokens[..]].concat()).succeeded();
    let written = model.read("spec.yaml");
    let quick = written.replace("protocol: \"adaptive\"", QUICK);
    assert_ne!(quick, written);
    sandbox.write_spec(&quick);
    sandbox
}

const QUICK: &str = "warmup: 1\n    measure: 2\n    trials: 2";

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    sandbox.night_sweep(&[&["run", "M1_model_layers"], arguments].concat())
}

/// The plans of a step by name, each with its total in ms.
fn totals(step: &Value) -> Vec<(&str, f64)> {
    let plans = step["plans"].as_array().unwrap().iter();
    plans.map(|plan| (plan["plan"].as_str().unwrap(), plan["total_ms"].as_f64().unwrap())).collect()
}

#[test]
fn a_measured_model_has_its_plans_their_parts_and_a_page() {
    let sandbox = sandbox();
    let ran = run(&sandbox, &["--run-id", "whole"]).succeeded();
    let parts = ["decode, 1 sequence at context 16", "prefill, 4 tokens", "round_64", "advised"];
    assert_contains(&ran.stdout, &parts);
    assert_contains(&ran.stdout, &["sum of parts against one layer as a single graph"]);
    let folder = sandbox.dir().join(ran.folder());
    assert_valid(&folder);
    assert_eq!(names(&folder), RUN_FOLDER);
    assert_eq!(names(&folder.join("plots")), ["m1_plans.png", "m1_plans.svg"]);
    assert_each_once(&sandbox.run("whole"));

    let summary = json(&folder.join("summary.json"));
    let model = &summary["model"];
    let plans = ["dense", "as_is", "round_8", "round_64", "advised"];
    let steps = model["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    for step in steps {
        let totals = totals(step);
        assert_eq!(totals.iter().map(|(plan, _)| *plan).collect::<Vec<_>>(), plans);
        for (plan, (name, total)) in step["plans"].as_array().unwrap().iter().zip(&totals) {
            let kinds = plan["by_kind_ms"].as_object().unwrap();
            let sum: f64 = kinds.values().map(|ms| ms.as_f64().unwrap()).sum();
            assert!((sum / total - 1.0).abs() < 1e-9, "{name}: {sum} of {total}");
            assert_eq!(kinds.len(), 9, "seven linear layers, attention, lm_head");
            let speedup = plan["speedup_over_dense"].as_f64().unwrap();
            assert!((speedup * total / totals[0].1 - 1.0).abs() < 1e-9);
        }
    }
    // Each plan of each step, as a graph of its own.
    assert_eq!(model["whole_layers"].as_array().unwrap().len(), 2 * 4);

    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert_contains(&page, &["What a model's dimensions cost", "class=\"stack\"", "as_is"]);
    for command in ["report", "summary"] {
        let again = sandbox.night_sweep(&[command, folder.to_str().unwrap()]).succeeded();
        assert_contains(&again.stdout, &["decode, 1 sequence at context 16"]);
    }
    let advice = sandbox.night_sweep(&["advise", folder.to_str().unwrap(), "--dims", "21"]);
    advice.refused_for(&["these runs sweep no dimension that there could be advice for"]);
    sandbox.night_sweep(&["report", "--index"]).succeeded();
    let folder = folder.to_str().unwrap();
    // Where a busy machine is noisier than the threshold, there is no answer.
    let same = sandbox.night_sweep(&["compare", folder, folder, "--threshold", "100%"]).succeeded();
    assert!(same.stdout.starts_with("Stored runs: ") && !same.stdout.contains("REGRESSED"));
}

#[test]
fn what_is_left_of_a_model_is_measured_later() {
    let sandbox = sandbox();
    // Once each, without a record.
    let tested = run(&sandbox, &["--", "--test"]).succeeded();
    assert_contains(&tested.stdout, &["Testing M1/layer_round_8_bf16/prefill4", "Success"]);
    let listed = run(&sandbox, &["--", "--list"]).succeeded();
    let cases = listed.stdout.lines().filter(|line| line.ends_with(": benchmark")).count();

    for index in 1..=2 {
        let shard = format!("{index}/2");
        let id = format!("part-{index}");
        run(&sandbox, &["--shard", &shard, "--run-id", &id]).succeeded();
    }
    let merged = sandbox.night_sweep(&["merge", "part-1", "part-2"]).succeeded();
    let summary = json(&sandbox.dir().join(merged.folder()).join("summary.json"));
    assert_eq!(summary["num_measurements"], cases);
    for step in summary["model"]["steps"].as_array().unwrap() {
        assert_eq!(totals(step).len(), 5);
    }

    // A shard says what it lacks.
    let part = sandbox.dir().join("results/M1/part-1/summary.json");
    let dense = &json(&part)["model"]["steps"][0]["plans"][0];
    let missing = dense["missing"].as_str().unwrap();
    assert!(missing.ends_with(" was not measured") && dense["total_ms"].is_null(), "{dense}");
    assert!(journal::read(&sandbox.journal("part-1")).unwrap().header.cases.len() < cases);
}

#[test]
fn a_killed_run_of_a_model_is_resumed() {
    let sandbox = sandbox();
    run(&sandbox, &["--run-id", "killed"]).succeeded();
    let path = sandbox.journal("killed");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let half: String = lines[..lines.len() / 2].iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, half).unwrap();
    let ran = run(&sandbox, &["--resume", "killed"]).succeeded();
    assert_contains(&ran.stdout, &["advised", "sum of parts"]);
    let resumed = sandbox.run("killed");
    assert_each_once(&resumed);
    let kept = lines[1..lines.len() / 2].iter().filter(|line| line.contains("samples_ms"));
    let again = fs::read_to_string(&path).unwrap();
    assert!(kept.clone().count() > 0 && kept.into_iter().all(|line| again.contains(line)));
}
