//! Exports of runs that never happened, read as others read them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::render;
use night_sweep::results::build;
use night_sweep::results::raw::{Raw, Row};
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::matrix::GemmLayout;
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::{assert_contains, assert_matches_schema, night_sweep};
use synthetic::{Outcome, journal, journal_of};
use tempfile::TempDir;

const JSON: [&str; 4] = ["sdpa-table", "padding-plan", "contract", "latency-table"];

/// Runs by name, in folders of their own.
struct Runs(TempDir);

impl Runs {
    fn new() -> Runs {
        Runs(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the two files that an export reads, of a run on a GPU with PyTorch.
    fn add(&self, group: &str, outcomes: &[Outcome], edit: impl Fn(&mut Raw)) -> Raw {
        let (header, lines) = journal(group, outcomes);
        let run = synthetic::run(header, &lines);
        let (mut raw, _) = build::raw(&run, Path::new("/nonexistent")).unwrap();
        edit(&mut raw);
        let mut env = run.env();
        env["libraries"]["pytorch"] = json!("2.11.0");
        self.write(group, &raw, &env);
        raw
    }

    fn write(&self, name: &str, raw: &Raw, env: &Value) {
        fs::create_dir_all(self.path(name)).unwrap();
        let files = [("raw.json", serde_json::to_vec(raw)), ("env.json", serde_json::to_vec(env))];
        for (file, bytes) in files {
            fs::write(self.path(name).join(file), bytes.unwrap()).unwrap();
        }
    }

    fn export(&self, names: &[&str], arguments: &[&str]) -> support::Ran {
        let folders: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let folders: Vec<&str> = folders.iter().map(|folder| folder.to_str().unwrap()).collect();
        night_sweep(&[&["export"], &folders[..], arguments].concat())
    }

    /// What a consumer of JSON loads, checked against its schema.
    fn json(&self, names: &[&str], format: &str) -> Value {
        let out = self.path(&format!("{format}.json"));
        let arguments = ["--format", format, "--out", out.to_str().unwrap()];
        self.export(names, &arguments).succeeded();
        assert_matches_schema(&out, format);
        support::json(&out)
    }

    fn csv(&self, names: &[&str]) -> Vec<HashMap<String, String>> {
        let ran = self.export(names, &["--format", "csv"]).succeeded();
        let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }
}

fn point(raw: &mut Raw, case_id: &str, p50_ms: f64, ci95_p50: [f64; 2]) {
    let row = raw.measurements.iter_mut().find(|row| row.point().case_id == case_id);
    let Some(Row::Measured(row)) = row else { panic!("{case_id} has no time") };
    (row.timing.p50, row.ci95_p50) = (p50_ms, Some(ci95_p50));
}

fn attention(seq_len: usize, kv_len: Option<usize>, head_dim: usize, backend: Backend) -> Sdpa {
    let shape = SdpaShape { batch: 4, seq_len, kv_len, n_heads: 32, n_kv_heads: Some(8), head_dim };
    Sdpa::dense(shape, backend)
}

fn linear(m: usize, n: usize, k: usize) -> Gemm {
    Gemm { layout: GemmLayout::Nt, ..Gemm::dense(GemmShape { m, n, k }) }
}

fn d1() -> Vec<Outcome> {
    let outcome = |d: usize| {
        let sdpa = attention(1, Some(4096), d, Backend::Auto);
        let point = format!("d{d}");
        let case = Case::row("D1", "c4096", &point, d, DType::Bf16, Operation::Sdpa(sdpa))
            .label("backend", "AUTO")
            .label("context", 4096);
        let padded = Operation::Sdpa(sdpa.padded_to(d.next_multiple_of(8)));
        let variant = case.variant("padded_cache", padded);
        vec![(case, Ok(0.1)), (variant, Err((ErrorKind::OutOfMemory, "no room")))]
    };
    [107, 112].into_iter().flat_map(outcome).collect()
}

fn l1() -> Vec<Outcome> {
    let outcome = |rank: usize| {
        let pair = Operation::LowRank([linear(16, rank, 4096), linear(16, 1024, rank)]);
        let case = Case::row("L1", "M16", &format!("r{rank}"), rank, DType::Fp16, pair);
        let dense = case.variant("dense", Operation::Gemm(linear(16, 1024, 4096)));
        [(case, Ok(if rank == 107 { 0.02 } else { 0.01 })), (dense, Ok(0.03))]
    };
    [107, 112].into_iter().flat_map(outcome).collect()
}

/// A linear layer, an attention of a prompt, and a whole layer of both.
fn m1() -> Vec<Outcome> {
    let (gemm, mut sdpa) = (linear(512, 107, 4096), attention(512, None, 128, Backend::Auto));
    sdpa.causal = true;
    let parts = [Operation::Gemm(gemm), Operation::Sdpa(sdpa)];
    let cold = parts.clone().map(|part| Operation::Cold(Box::new(part)));
    let layer = Operation::Layer(parts.to_vec());
    let [linear, attention] = cold;
    let row = |series, dim, operation| Case::row("M1", series, "x", dim, DType::Bf16, operation);
    let attention = row("attention", 128, attention).label("backend", "AUTO").masked(true);
    vec![
        (row("linear", 107, linear), Ok(0.5)),
        (attention, Ok(0.25)),
        (row("layer", 512, layer), Ok(0.8)),
    ]
}

#[test]
fn a_csv_has_a_row_for_each_point_and_variant() {
    let runs = Runs::new();
    let mut names = vec!["D1", "L1", "M1"];
    let mut raws = vec![
        runs.add("D1", &d1(), |_| ()),
        runs.add("L1", &l1(), |_| ()),
        runs.add("M1", &m1(), |_| ()),
    ];
    for (group, outcomes, _) in synthetic::all() {
        names.push(group);
        raws.push(runs.add(group, &outcomes, |_| ()));
    }
    let rows = runs.csv(&names);
    let mut expected = Vec::new();
    for raw in &raws {
        for row in &raw.measurements {
            let (id, value) = (row.point().case_id.clone(), serde_json::to_value(row).unwrap());
            expected.push((id.clone(), String::new(), value.clone()));
            let variants = row.variants().keys();
            expected.extend(
                variants.map(|name| (id.clone(), name.clone(), value["variants"][name].clone())),
            );
        }
    }
    assert_eq!(rows.len(), expected.len());
    for (row, (case_id, variant, value)) in rows.iter().zip(&expected) {
        assert_eq!((&row["case_id"], &row["variant"]), (case_id, variant));
        let number = |column: &str| row[column].parse::<f64>().ok();
        assert_eq!(number("p50_ms"), value["timing"]["p50"].as_f64(), "{row:?}");
        assert_eq!(number("p90_ms"), value["timing"]["p90"].as_f64());
        assert_eq!(number("tflops_mean"), value["derived"]["tflops_mean"].as_f64());
        assert_eq!(number("ci95_low_ms"), value["ci95_p50"][0].as_f64());
        assert_eq!(number("ci95_high_ms"), value["ci95_p50"][1].as_f64());
        assert_eq!(number("cycles_p50"), value["cycles_p50"].as_f64());
        assert_eq!(number("isolated_p50_ms"), value["isolated"]["p50"].as_f64());
        assert_eq!(number("cold_p50_ms"), value["cold"]["p50"].as_f64());
        assert_eq!(number("per_call_p50_ms"), value["per_call"]["p50"].as_f64());
        assert_eq!(row["error_kind"], value["error_kind"].as_str().unwrap_or_default());
        assert_eq!(row["provider"], value["provider"].as_str().unwrap_or_default());
    }
    let failures: HashSet<&str> = rows.iter().map(|row| &*row["error_kind"]).collect();
    assert_eq!(failures, HashSet::from(["", "cuda", "unsupported", "out_of_memory"]));

    let cells = |group: &str, dim: &str, columns: &str| -> Vec<String> {
        let row = rows.iter().find(|row| row["group"] == group && row["dim"] == dim).unwrap();
        columns.split(' ').map(|column| row[column].clone()).collect()
    };
    let of_gemm =
        cells("G3", "107", "run_id device_name dtype M N K layout batch head_dim backend");
    let gemm = ["20260101_000000_G3_sweep", "Synthetic GPU", "fp16", "4096", "4096", "107", "nn"];
    assert_eq!(of_gemm, [&gemm[..], &["1", "", ""]].concat());
    let of_attention = "backend backend_selected padded_to batch seq_len kv_len n_heads n_kv_heads \
                        head_dim causal M layout";
    let decode = ["AUTO", "FLASH", "112", "4", "1", "4096", "32", "8", "107", "false", "", ""];
    assert_eq!(cells("D1", "107", of_attention), decode);
    assert_eq!(cells("M1", "128", "seq_len kv_len causal"), ["512", "512", "true"]);
    assert_eq!(cells("M1", "107", "M N K layout"), ["512", "107", "4096", "nt"]);
    let pair = cells("L1", "107", "M in_features rank out_features layout");
    assert_eq!(pair, ["16", "4096", "107", "1024", "nt"]);
    assert_eq!(cells("P1", "112", "logical_dim"), ["107"]);
}

#[test]
fn a_csv_takes_several_devices_and_holds_no_formula() {
    let runs = Runs::new();
    runs.add("L1", &l1(), |raw| {
        let Row::Measured(row) = &mut raw.measurements[0] else { panic!("it has a time") };
        row.point.curve = "=cmd|' /C calc'!A0".to_owned();
        row.flags = vec!["power_capped".to_owned(), "unstable".to_owned()];
    });
    let (header, lines) = journal_of("G3", "G3_cpu", "cpu", &synthetic::g3()[..4]);
    let run = synthetic::run(header, &lines);
    let (raw, _) = build::raw(&run, Path::new("/nonexistent")).unwrap();
    // Its env.json is not asked for.
    fs::create_dir(runs.path("cpu")).unwrap();
    let file = runs.path("cpu").join("raw.json");
    fs::write(&file, serde_json::to_vec(&raw).unwrap()).unwrap();
    let rows = runs.csv(&["L1", "cpu/raw.json"]);
    assert_eq!(rows[0]["curve"], "'=cmd|' /C calc'!A0");
    assert_eq!(rows[0]["flags"], "power_capped;unstable");
    let devices: Vec<[&str; 2]> =
        rows.iter().map(|row| [&*row["device"], &*row["device_name"]]).collect();
    assert_eq!((devices[0], devices[4]), (["cuda:0", "Synthetic GPU"], ["cpu", "Synthetic CPU"]));
    assert_eq!(rows[4]["provider"], "cpu");
}

/// Times in ms by backend that is asked for and head_dim, half of an interval's width, and whether
/// there is a mask.
fn attentions(times: &[(Backend, usize, f64, f64)], causal: bool) -> Vec<Outcome> {
    let outcome = |&(backend, d, ms, _): &(Backend, usize, f64, f64)| {
        let sdpa = attention(2048, None, d, backend);
        let (series, point) = (format!("{}_{causal}", backend.name()), format!("d{d}"));
        let case = Case::row("S2", &series, &point, d, DType::Fp16, Operation::Sdpa(sdpa))
            .label("backend", backend.name())
            .masked(causal);
        (case, if ms > 0.0 { Ok(ms) } else { Err((ErrorKind::Cuda, "illegal address")) })
    };
    times.iter().map(outcome).collect()
}

#[test]
fn the_table_of_attention_pads_where_that_is_sure_to_pay() {
    use Backend::{Auto, Flash, Math, MemEfficient, NsFastest};
    let times = [
        (Auto, 3, 0.1, 0.01),
        (Auto, 100, 1.0, 0.01),
        (Flash, 100, 0.9, 0.01),
        (NsFastest, 100, 0.01, 0.001),
        (Auto, 104, 0.6, 0.01),
        (Auto, 112, 0.599, 0.001),
        (Auto, 120, 0.0, 0.0),
        (Auto, 126, 0.31, 0.02),
        (Auto, 128, 0.3, 0.01),
        (Auto, 201, 1.0, 0.01),
        (MemEfficient, 201, 0.5, 0.01),
        (Math, 208, 0.4, 0.9),
        (Auto, 301, 1.0, 0.01),
        (Flash, 301, 0.5, 0.02),
        (Flash, 304, 0.49, 0.02),
    ];
    let masked = [(Auto, 100, 0.5, 0.01)];
    let outcomes = [attentions(&times, false), attentions(&masked, true)].concat();
    let runs = Runs::new();
    runs.add("S2", &outcomes, |raw| {
        for (times, causal) in [(&times[..], false), (&masked, true)] {
            for (backend, d, ms, half) in times.iter().filter(|(_, _, ms, _)| *ms > 0.0) {
                let id = format!("S2/{}_{causal}/d{d}", backend.name());
                point(raw, &id, *ms, [ms - half, ms + half]);
            }
        }
    });
    runs.add("D1", &d1(), |raw| {
        point(raw, "D1/c4096/d107", 0.2, [0.19, 0.21]);
        point(raw, "D1/c4096/d112", 0.1, [0.09, 0.11]);
    });
    let table = runs.json(&["S2", "D1"], "sdpa-table");
    let entries = table["entries"].as_array().unwrap();
    // As a consumer finds its own.
    let find = |head_dim: usize, causal: bool| {
        let key = json!([head_dim, causal, "fp16", 4, 2048, 2048, 32, 8]);
        let is_it = |e: &&Value| {
            let keys = ["head_dim", "causal", "dtype", "batch", "seq_len", "kv_len", "n_heads"];
            let mut found: Vec<Value> = keys.iter().map(|key| e[key].clone()).collect();
            found.push(e["n_kv_heads"].clone());
            Value::from(found) == key
        };
        entries.iter().find(is_it).unwrap_or_else(|| panic!("{key} is not there"))
    };
    let choice = |e: &Value| {
        let Value::Object(choice) = &e["use"] else { panic!("{e}") };
        let factor = choice["factor"].as_f64().unwrap();
        (choice["sdp_backend"].as_str().unwrap().to_owned(), choice["pad_to"].clone(), factor)
    };
    let cudnn = |pad_to: usize, factor| ("CUDNN_ATTENTION".to_owned(), json!(pad_to), factor);
    // 112 is within 0.5 % of it, and 128 more than 25 % larger.
    let padded = find(100, false);
    assert_eq!(choice(padded), cudnn(104, 1.0 / 0.6));
    assert_eq!(padded["auto"]["backend"], "FLASH");
    assert_eq!(
        (&padded["as_is"]["backend"], &padded["as_is"]["p50_ms"]),
        (&json!("FLASH"), &json!(0.9))
    );
    let interval: Vec<f64> =
        serde_json::from_value(padded["padded"]["factor_ci95"].clone()).unwrap();
    assert_eq!(interval, [0.99 / 0.61, 1.01 / 0.59]);
    assert_eq!(padded["padded"]["memory_overhead_pct"], json!((104.0 / 100.0 - 1.0) * 100.0));
    assert_eq!(choice(find(104, false)), cudnn(128, 0.6 / 0.3));
    assert_eq!(choice(find(128, false)), cudnn(128, 1.0));
    // What may save nothing is not taken.
    let unsure = find(126, false);
    assert_eq!((&unsure["padded"], choice(unsure).1), (&Value::Null, json!(126)));
    assert_eq!(choice(unsure).2, 1.0);
    let forced = find(201, false);
    assert_eq!(choice(forced), ("EFFICIENT_ATTENTION".to_owned(), json!(201), 2.0));
    assert_eq!(forced["padded"], Value::Null);
    // Both beat AUTO; whether one beats the other is not known.
    let unpadded = find(301, false);
    assert_eq!(unpadded["padded"]["pad_to"], 304);
    assert_eq!(choice(unpadded), ("FLASH_ATTENTION".to_owned(), json!(301), 2.0));
    // A mask is another attention.
    assert_eq!(choice(find(100, true)), ("FLASH_ATTENTION".to_owned(), json!(100), 1.0));
    let decode = entries.iter().find(|e| e["head_dim"] == 107).unwrap();
    assert_eq!((&decode["seq_len"], &decode["kv_len"]), (&json!(1), &json!(4096)));
    assert_eq!(choice(decode), cudnn(112, 2.0));
    // Of each head_dim that has a time of AUTO; not of 120, which failed, nor of 208.
    let dims = |head_dim: usize| entries.iter().filter(|e| e["head_dim"] == head_dim).count();
    assert_eq!((entries.len(), dims(120), dims(208), dims(112)), (11, 0, 0, 2));
    assert_eq!(table["failed"][0]["case_id"], "S2/AUTO_false/d120");
    assert_eq!(table["failed"][0]["error_kind"], "cuda");
}

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

/// A sweep of K with these times in ms and intervals.
fn sweep(runs: &Runs, times: &[(usize, f64, [f64; 2])]) {
    let outcome = |&(k, ms, _): &(usize, f64, [f64; 2])| {
        let operation = Operation::Gemm(Gemm::dense(GemmShape { m: 64, n: 32, k }));
        (Case::row("G3", "fp16", &format!("K{k}"), k, DType::Fp16, operation), Ok(ms))
    };
    runs.add("G3", &times.iter().map(outcome).collect::<Vec<_>>(), |raw| {
        for (k, ms, interval) in times {
            point(raw, &format!("G3/fp16/K{k}"), *ms, *interval);
        }
    });
}

#[test]
fn a_plan_pads_dimensions_of_gemms() {
    let runs = Runs::new();
    sweep(
        &runs,
        &[
            (100, 1.0, [0.98, 1.02]),
            (104, 0.5, [0.49, 0.51]),
            (112, 0.4, [0.1, 1.2]),
            (126, 0.1, [0.09, 0.11]),
        ],
    );
    runs.add("L1", &l1(), |raw| {
        point(raw, "L1/M16/r107", 0.02, [0.019, 0.021]);
        point(raw, "L1/M16/r112", 0.01, [0.009, 0.011]);
    });
    runs.add("S2", &synthetic::s2(), |_| ());
    let plan = runs.json(&["G3", "L1", "S2"], "padding-plan");
    let [of_k, of_rank] = &plan["entries"].as_array().unwrap()[..] else { panic!("{plan}") };
    assert_eq!((&of_k["axis"], &of_k["shape"]), (&json!("gemm-k"), &json!({"M": 64, "N": 32})));
    assert_eq!((&of_k["layout"], &of_k["provider"]), (&json!("nn"), &json!("cublaslt")));
    let pads: BTreeMap<u64, (u64, f64)> = of_k["pad"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pad| {
            let factor = pad["factor"].as_f64().unwrap();
            (pad["dim"].as_u64().unwrap(), (pad["pad_to"].as_u64().unwrap(), factor))
        })
        .collect();
    // 112 may be slower than 100 is, and 126 is more than 25 % larger than that.
    let expected = [(100, (104, 2.0)), (104, (126, 5.0))];
    assert_eq!(pads, BTreeMap::from(expected));
    assert_eq!(of_k["keep"], json!([112, 126]));
    let first = &of_k["pad"][0];
    assert_eq!(first["factor_ci95"], json!([0.98 / 0.51, 1.02 / 0.49]));
    assert_eq!(first["memory_overhead_pct"], json!((104.0 / 100.0 - 1.0) * 100.0));
    assert_eq!((&of_rank["axis"], &of_rank["layout"]), (&json!("low-rank"), &json!("nt")));
    assert_eq!(of_rank["shape"], json!({"M": 16, "in_features": 4096, "out_features": 1024}));
    assert_eq!((&of_rank["pad"][0]["pad_to"], &of_rank["keep"]), (&json!(112), &json!([112])));
}

#[test]
fn a_contract_has_the_alignment_that_was_built_in() {
    let runs = Runs::new();
    let raw = runs.add("G3", &synthetic::g3(), |_| ());
    let contract = runs.json(&["G3"], "contract");
    let entries = contract["entries"].as_array().unwrap();
    let dims: Vec<usize> = raw.curves()[0].1.iter().map(|row| row.point().dim).collect();
    assert_eq!(entries.len(), 2);
    for (entry, dtype) in entries.iter().zip(["fp16", "bf16"]) {
        assert_eq!((&entry["axis"], &entry["dtype"]), (&json!("gemm-k"), &json!(dtype)));
        assert_eq!(entry["measured_dims"], json!([64, 160]));
        assert_eq!(
            (&entry["minimal_alignment"], &entry["preferred_alignment"]),
            (&json!(8), &json!(8))
        );
        let (aligned, cliffs): (Vec<usize>, Vec<usize>) =
            dims.iter().partition(|dim| *dim % 8 == 0);
        // 160 is the last, and what 154, 156 and 158 are padded to.
        assert_eq!(entry["recommended_values"], json!(aligned));
        assert_eq!(entry["cliff_values"], json!(cliffs));
        let of_107 = entry["cliffs"].as_array().unwrap().iter().find(|c| c["dim"] == 107).unwrap();
        assert_eq!(of_107["pad_to"], 112);
        let ratio = of_107["ratio"].as_f64().unwrap();
        assert!((ratio / (2.7 * 107.0 / 112.0) - 1.0).abs() < 0.02, "{of_107}");
        assert!(of_107["ratio_lower"].as_f64().unwrap() < ratio);
    }
    // At 16 nothing is known of what the last one costs.
    let few: Vec<Outcome> =
        synthetic::g3().into_iter().filter(|(case, _)| case.dim == 72).collect();
    runs.add("G3", &few, |_| ());
    let alone = runs.json(&["G3"], "contract")["entries"][0].clone();
    assert_eq!(
        (&alone["minimal_alignment"], &alone["recommended_values"]),
        (&Value::Null, &json!([]))
    );
}

#[test]
fn latencies_are_told_apart_by_all_that_was_computed() {
    let runs = Runs::new();
    runs.add("M1", &m1(), |raw| {
        point(raw, "M1/linear/x", 0.5, [0.4, 0.6]);
        point(raw, "M1/attention/x", 0.25, [0.2, 0.3]);
    });
    let gemm = Gemm::dense(GemmShape { m: 512, n: 107, k: 4096 });
    let case = |series| Case::row("G4", series, "N107", 107, DType::Bf16, Operation::Gemm(gemm));
    let pytorch = case("bf16").variant("pytorch", Operation::Gemm(gemm));
    let batched = case("batched").label("batch", 3);
    let g4 = [(case("bf16"), Ok(0.125)), (pytorch, Ok(0.75)), (batched, Ok(0.375))];
    let raw = runs.add("G4", &g4, |raw| point(raw, "G4/bf16/N107", 0.125, [0.1, 0.2]));
    // The same again, in a later run: the first one counts.
    let mut again = raw.clone();
    again.metadata.run_id = "again".to_owned();
    point(&mut again, "G4/bf16/N107", 0.1, [0.1, 0.2]);
    runs.write("again", &again, &support::json(&runs.path("G4").join("env.json")));
    runs.add("HET1", &synthetic::het1(), |_| ());
    let raw_l1 = runs.add("L1", &l1(), |_| ());
    let read = runs.json(&["M1", "G4", "again", "HET1", "L1"], "latency-table");
    let entries = read["entries"].as_array().unwrap();
    let times = |op: &str, wanted: &[(&str, Value)]| -> Vec<f64> {
        let is_it =
            |e: &&Value| e["op"] == op && wanted.iter().all(|(key, value)| e[key] == *value);
        entries.iter().filter(is_it).map(|e| e["p50_ms"].as_f64().unwrap()).collect()
    };
    let shape = ("shape", json!({"M": 512, "N": 107, "K": 4096}));
    let of = |layout: &str, provider: &str, operands: &str, batch: usize| {
        let keys = [
            ("layout", json!(layout)),
            ("provider", json!(provider)),
            ("operands", json!(operands)),
            ("batch", json!(batch)),
            ("tokens", json!(512)),
            shape.clone(),
        ];
        times("gemm", &keys)
    };
    assert_eq!(of("nt", "cublaslt", "cold", 1), [0.5]);
    assert_eq!(of("nn", "cublaslt", "warm", 1), [0.125]);
    assert_eq!(of("nn", "pytorch", "warm", 1).len(), 1);
    assert_eq!(of("nn", "cublaslt", "warm", 3).len(), 1);
    assert_eq!(times("gemm", &[shape]).len(), 4);
    // Of HET1 only the pattern of a single GEMM; of a model no whole layer.
    assert_eq!(times("gemm", &[("shape", json!({"M": 4096, "N": 4096, "K": 4096}))]).len(), 1);
    let prompt = [("causal", json!(true)), ("tokens", json!(2048)), ("operands", json!("cold"))];
    assert_eq!(times("sdpa", &prompt), [0.25]);
    let pair = json!({"M": 16, "in_features": 4096, "rank": 112, "out_features": 1024});
    let p50 = raw_l1.measured().last().unwrap().timing.p50;
    assert_eq!(times("low_rank_pair", &[("tokens", json!(16)), ("shape", pair)]), [p50]);
    assert_eq!(entries.len(), 4 + 1 + 1 + 2);
    let warm = entries.iter().find(|e| e["p50_ms"] == 0.125).unwrap();
    assert_eq!(warm["ci95_p50_ms"], json!([0.1, 0.2]));
    assert_eq!(
        (&warm["case_id"], &warm["run_id"]),
        (&json!("G4/bf16/N107"), &json!(raw.metadata.run_id))
    );
}

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
    let (raw, _) = build::raw(&run, Path::new("/nonexistent")).unwrap();
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
