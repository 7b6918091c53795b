//! What all formats have in common: where they come from, and where they go.

use crate::synthetic::journal;
use crate::{JSON, Runs, l1, support, synthetic};
use night_sweep::render;
use night_sweep::results::raw::Raw;
use serde_json::{Value, json};
use std::fs;

#[test]
fn what_it_was_made_from_is_in_each_json() {
    let runs = Runs::new();
    let env = |cudnn: Value, raw: &Raw| {
        let mut env: Value = support::json(&runs.path("S2").join("env.json"));
        env["libraries"]["cudnn"] = cudnn;
        env["gpu"]["driver_version"] = json!("580.1");
        runs.write(&raw.metadata.group, raw, &env);
    };
    let [s2, l1] = [("S2", synthetic::s2()), ("L1", l1())]
        .map(|(group, outcomes)| runs.add(group, &outcomes, |_| ()));
    env(Value::Null, &s2);
    env(json!("9.19.0"), &l1);
    for format in JSON {
        let read = runs.json(&["S2", "L1"], format);
        assert_eq!((&read["format"], &read["schema_version"]), (&json!(format), &json!("2.0")));
        let device = json!({
            "name": "Synthetic GPU", "compute_capability": "9.0", "driver_version": "580.1",
        });
        assert_eq!(read["device"], device);
        // What one of them did not load, the other has.
        let libraries = json!({
            "cuda_driver": "13.0", "cublas": "13.1", "cudnn": "9.19.0", "nvrtc": null,
            "pytorch": "2.11.0",
        });
        assert_eq!(read["libraries"], libraries);
        assert_eq!(read["runs"][1]["run_id"], l1.metadata.run_id);
        assert_eq!(read["runs"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn only_an_earlier_export_is_replaced() {
    let runs = Runs::new();
    runs.add("L1", &l1(), |_| ());
    let out = runs.path("out");
    let write =
        |format: &str| runs.export(&["L1"], &["--format", format, "--out", out.to_str().unwrap()]);
    for format in ["csv", "contract"] {
        let printed = runs.export(&["L1"], &["--format", format, "--out", "-"]).succeeded().stdout;
        assert_eq!(printed, runs.export(&["L1"], &["--format", format]).succeeded().stdout);
        for mine in ["mine", "{\"format\": \"contract\"}", "case_id,variant\n", ""] {
            fs::write(&out, mine).unwrap();
            write(format).refused_for(&["night-sweep did not write it"]);
            assert_eq!(fs::read_to_string(&out).unwrap(), mine);
        }
        fs::remove_file(&out).unwrap();
        write(format).succeeded();
        let says = write(format).succeeded().stdout;
        assert!(says.ends_with("/out\n"), "{says}");
        assert_eq!(fs::read_to_string(&out).unwrap(), printed);
        // Nor is an export in another form.
        let other = if format == "csv" { "contract" } else { "csv" };
        write(other).refused_for(&["night-sweep did not write it"]);
        fs::remove_file(&out).unwrap();
    }
    std::os::unix::fs::symlink(runs.path("L1"), &out).unwrap();
    write("csv").refused_for(&["symbolic link"]);
    let raw = runs.path("L1").join("raw.json");
    let before = fs::read(&raw).unwrap();
    let onto = ["--format", "contract", "--out", raw.to_str().unwrap()];
    runs.export(&["L1"], &onto).refused_for(&["did not write it"]);
    assert_eq!(fs::read(&raw).unwrap(), before);
}

#[test]
fn a_run_folder_is_exported_as_it_was_written() {
    let runs = Runs::new();
    let (header, lines) = journal("P1", &synthetic::p1());
    let dir = tempfile::tempdir().unwrap();
    let journal = synthetic::write(dir.path(), header, &lines);
    let folder =
        render::write(&journal, &dir.path().join("criterion"), runs.0.path()).unwrap().folder;
    let name = folder.strip_prefix(runs.0.path()).unwrap().to_str().unwrap();
    let table = runs.json(&[name], "sdpa-table");
    let of_107 =
        table["entries"].as_array().unwrap().iter().find(|e| e["head_dim"] == 107).unwrap();
    assert_eq!(
        (&of_107["use"]["pad_to"], &of_107["use"]["backend"]),
        (&json!(112), &json!("CUDNN"))
    );
    let factor = of_107["use"]["factor"].as_f64().unwrap();
    assert!((factor / 2.5 - 1.0).abs() < 0.03, "{of_107}");
    let axes: Vec<Value> = runs.json(&[name], "padding-plan")["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["axis"], entry["pad"][0]["pad_to"]]))
        .collect();
    assert_eq!(axes, [json!(["gemm-k", 112]), json!(["gemm-n", 112])]);
}
