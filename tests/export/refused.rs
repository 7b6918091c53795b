//! Runs that are refused.

use crate::support::{assert_contains, night_sweep};
use crate::synthetic::journal;
use crate::{JSON, Runs, m1, support, synthetic};
use night_sweep::results::raw::Raw;
use serde_json::{Value, json};
use std::fs;

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let runs = Runs::new();
    let raw = runs.add("G3", &synthetic::g3()[..8], |_| ());
    let env = support::json(&runs.path("G3").join("env.json"));
    let other = |name: &str, edit: &dyn Fn(&mut Raw, &mut Value)| {
        let (mut raw, mut env) = (raw.clone(), env.clone());
        raw.metadata.run_id = name.to_owned();
        edit(&mut raw, &mut env);
        runs.write(name, &raw, &env);
    };
    other("h200", &|raw, _| raw.metadata.device_name = Some("NVIDIA H200".to_owned()));
    other("newer", &|_, env| env["libraries"]["cublas"] = json!("13.2"));
    other("driver", &|_, env| env["gpu"]["driver_version"] = json!("999"));
    for format in ["padding-plan", "contract", "latency-table"] {
        let refused = |name, parts: &[&str]| {
            runs.export(&["G3", name], &["--format", format]).refused_for(parts);
        };
        refused(
            "h200",
            &["G3_sweep has the device Synthetic GPU, h200 has NVIDIA H200", "one device"],
        );
        refused("newer", &["cublas 13.1, newer has 13.2"]);
        refused("driver", &["driver 0, driver has 999"]);
        refused("G3", &["G3_sweep is given twice"]);
    }
    runs.export(&["G3", "h200"], &["--format", "csv"]).succeeded();
    runs.export(&["G3", "G3"], &["--format", "csv"]).refused_for(&["given twice"]);
    runs.export(&["G3"], &["--format", "sdpa-table"]).refused_for(&["PyTorch's AUTO", "S1"]);
    fs::remove_file(runs.path("newer").join("env.json")).unwrap();
    runs.export(&["newer"], &["--format", "contract"]).refused_for(&["newer/env.json", "versions"]);
    fs::write(runs.path("newer").join("env.json"), "{}").unwrap();
    let says = ["newer/env.json is no env.json of a run"];
    runs.export(&["newer"], &["--format", "contract"]).refused_for(&says);
    runs.export(&["nothing"], &["--format", "csv"]).refused_for(&["nothing", "a run folder"]);
}

#[test]
fn runs_without_what_a_format_is_about_are_refused() {
    let runs = Runs::new();
    let failed = synthetic::without_times(synthetic::g3(), "out of memory");
    runs.add("G3", &failed, |_| ());
    runs.add("M1", &m1(), |_| ());
    let (header, lines) = journal("S1", &synthetic::s1());
    let run = synthetic::run(header, &synthetic::with_stand_ins(lines));
    let (raw, _) = synthetic::results(&run);
    runs.write("S1", &raw, &run.env());
    let refused = |name: &str, format: &str, says: &str| {
        runs.export(&[name], &["--format", format]).refused_for(&[says]);
    };
    for (format, says) in JSON.iter().zip(["AUTO", "no time of a GEMM", "no dimension", "no time"])
    {
        refused("G3", format, says);
    }
    // Advice on a model's layers is in its own report.
    refused("M1", "padding-plan", "no time of a GEMM");
    refused("M1", "contract", "no dimension");
    // Stand-ins are not PyTorch's, and said to be none.
    refused("S1", "sdpa-table", "made with PyTorch");
    let contract = runs.json(&["S1"], "contract");
    assert_eq!(
        (&contract["entries"][0]["stand_in"], &contract["entries"][0]["provider"]),
        (&json!(true), &Value::Null)
    );
    // A CSV has the rows all the same.
    let rows = runs.csv(&["G3"]);
    assert!(
        rows.iter().all(|row| row["error_kind"] == "out_of_memory" && row["p50_ms"].is_empty())
    );
    assert_eq!(rows.len(), failed.len());
    night_sweep(&["export", "--format", "csv"]).ended_with(2);
    let ran = runs.export(&["M1"], &["--format", "xml"]).ended_with(2);
    assert_contains(&ran.stderr, &["csv, sdpa-table, padding-plan, contract, latency-table"]);
}
