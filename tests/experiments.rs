//! What every registered type has to keep, whatever it sweeps and however its entry is called.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::advise::{Request, advise, input};
use night_sweep::experiments::TYPES;
use night_sweep::experiments::sweep::Type;
use night_sweep::render::{self, Written};
use night_sweep::results::read;
use night_sweep::results::view::{Axis, Layout};
use night_sweep::spec::{Experiment, Spec, SpecError};
use night_sweep::workload::operation::Operation;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use support::{assert_contains, assert_valid, json, names};
use synthetic::Outcome;
use tempfile::TempDir;

const NAME: &str = "Llama3_thing";

/// The first entry of a type in the spec for CPUs.
fn entry(kind: &Type) -> Value {
    let text = include_str!("../experiments/night_sweep_cpu.yaml");
    let spec = Spec::parse(text, Path::new("spec.yaml")).unwrap();
    let found = spec.experiments().find(|experiment| experiment.kind.name == kind.name);
    found.unwrap_or_else(|| panic!("night_sweep_cpu.yaml has no {}", kind.name)).to_json()
}

fn parse(entry: &Value) -> Result<Spec, SpecError> {
    let text = json!({"experiments": {NAME: entry}}).to_string();
    Spec::parse(&text, Path::new("spec.yaml"))
}

fn experiment(entry: &Value) -> Experiment {
    parse(entry).unwrap().experiment(NAME).unwrap().clone()
}

/// The report of a run that took longer the more work there was, and the less aligned the
/// dimension.
fn report(root: &Path, experiment: &Experiment, config: Value) -> Written {
    let outcome = |case: night_sweep::workload::case::Case| -> Outcome {
        let dim = case.operation.sdpa().map_or(case.dim, |sdpa| sdpa.shape.head_dim);
        let penalty = if dim.is_multiple_of(8) { 1.0 } else { 2.0 };
        let ms = (0.01 + case.operation.flops() / 1e9) * penalty;
        (case, Ok(ms))
    };
    let outcomes: Vec<Outcome> = experiment.cases().into_iter().map(outcome).collect();
    let (mut header, lines) = synthetic::journal_of(&experiment.group(), NAME, "cuda:0", &outcomes);
    header.config = config;
    let journal = synthetic::write(&root.join("journal"), header, &lines);
    render::write(&journal, &root.join("criterion"), &root.join("reports")).unwrap()
}

#[test]
fn an_entry_of_any_name_has_the_plots_table_page_and_findings_of_its_type() {
    for kind in TYPES {
        let experiment = experiment(&entry(kind));
        assert_eq!(
            (experiment.group(), experiment.bench_target()),
            (kind.group.into(), kind.bench)
        );
        let dir = TempDir::new().unwrap();
        let written = report(dir.path(), &experiment, experiment.to_json());
        let folder = format!("reports/{}/20260101_000000_{NAME}", kind.group);
        assert_eq!(written.folder, dir.path().join(folder));
        assert_valid(&written.folder);

        let view = &kind.view;
        let mut plots: Vec<String> = view.plots.iter().map(|p| p.name.to_owned()).collect();
        plots = plots.iter().flat_map(|p| [format!("{p}.png"), format!("{p}.svg")]).collect();
        plots.sort();
        assert!(!plots.is_empty(), "{}", kind.name);
        assert_eq!(names(&written.folder.join("plots")), plots);

        let dim = match view.layout {
            Layout::Bars(bars) => bars.name.unwrap_or(view.dim),
            Layout::Sweep | Layout::Columns => view.dim,
            Layout::Model => "plan",
        };
        let table = &written.table;
        let header = table.lines().find(|line| line.split_whitespace().any(|word| word == dim));
        assert!(header.is_some(), "{}: no {dim} in\n{table}", kind.name);

        let summary = json(&written.folder.join("summary.json"));
        let findings = summary["findings"].as_array().unwrap();
        assert!(!findings.is_empty(), "{}", kind.name);
        let page = fs::read_to_string(written.folder.join("report.html")).unwrap();
        assert!(page.contains(&format!("<h1>{NAME}</h1>")) && page.contains(view.title));
        assert!(page.contains(&format!("\"dim_name\":\"{}\"", view.dim)), "{}", kind.name);
    }
}

#[test]
fn a_list_of_any_order_is_a_sweep_like_a_range() {
    let mut kinds = 0;
    for kind in TYPES {
        let mut keys = entry(kind);
        let known = experiment(&keys);
        let Some(dims) = known.sweep.dims() else { continue };
        kinds += 1;
        keys.as_object_mut().unwrap().remove(dims.keys.list);
        keys[dims.keys.range] = json!([64, 160]);
        keys = experiment(&keys).to_json();
        let range = keys.as_object_mut().unwrap().remove(dims.keys.range).unwrap();
        keys[dims.keys.list] = json!([240, 112, 64, 107]);
        let [step_1, step_2] = dims.keys.steps;
        for key in [dims.keys.boundary, step_1, step_2] {
            let error = parse(&keys).unwrap_err().to_string();
            assert_contains(&error, &[key, dims.keys.range, dims.keys.list]);
            keys.as_object_mut().unwrap().remove(key);
        }
        let experiment = experiment(&keys);
        assert_eq!(
            experiment.sweep.dims().unwrap().points().collect::<Vec<_>>(),
            [240, 112, 64, 107]
        );
        assert_eq!(self::experiment(&experiment.to_json()), experiment);

        let dir = TempDir::new().unwrap();
        let written = report(dir.path(), &experiment, experiment.to_json());
        assert_valid(&written.folder);
        let rows =
            json(&written.folder.join("raw.json"))["measurements"].as_array().unwrap().clone();
        let found: Vec<u64> = rows[..4].iter().map(|row| row["dim"].as_u64().unwrap()).collect();
        assert_eq!(found, [240, 112, 64, 107], "{}", kind.name);
        let summary = json(&written.folder.join("summary.json"));
        for curve in summary["curves"].as_array().unwrap() {
            assert_eq!(curve["points"], 4);
            let cliffs = curve["cliffs"].as_array().unwrap();
            let of = |key: &str| cliffs.iter().map(|cliff| cliff[key].clone()).collect::<Vec<_>>();
            assert_eq!((of("dim"), of("pad_to")), (vec![json!(107)], vec![json!(112)]));
            assert_eq!(curve["unclassified"], json!([64, 112, 240]));
            assert_eq!(curve["steps"], json!([]));
        }
        keys[dims.keys.range] = range;
        let error = parse(&keys).unwrap_err().to_string();
        assert_contains(&error, &[dims.keys.range, dims.keys.list, "give one"]);
    }
    assert!(kinds >= 4, "{kinds}");
}

#[test]
fn rows_of_gemms_have_their_layout_and_batch_and_pytorchs_call_is_named() {
    let stored = [
        ("nn", 1, "aten::mm"),
        ("nt", 1, "aten::linear"),
        ("tt", 1, "aten::mm"),
        ("nt", 3, "aten::bmm"),
    ];
    let kinds: Vec<&Type> = TYPES.iter().filter(|kind| entry(kind)["layout"] == "nn").collect();
    assert_eq!(kinds.len(), 3);
    for (kind, (layout, batch, call)) in kinds.into_iter().cycle().zip(stored) {
        let mut keys = entry(kind);
        keys["layout"] = json!(layout);
        keys["batch"] = json!(batch);
        keys["provider"] = json!("both");
        let experiment = experiment(&keys);
        let dir = TempDir::new().unwrap();
        let folder = report(dir.path(), &experiment, experiment.to_json()).folder;
        assert_valid(&folder);
        for row in json(&folder.join("raw.json"))["measurements"].as_array().unwrap() {
            let shown = |key: &str, value: Value, is_default: bool| {
                assert_eq!(row.get(key), (!is_default).then_some(&value), "{}", kind.name);
            };
            shown("layout", json!(layout), layout == "nn");
            shown("batch", json!(batch), batch == 1);
            assert_eq!(row["shape"].as_object().unwrap().len(), 3);
        }
        let findings = json(&folder.join("summary.json"))["findings"].to_string();
        let says = format!(": {call} takes 1.00× the time of cuBLASLt (median of ");
        assert_contains(&findings, &[&says]);
    }
}

#[test]
fn a_decode_step_is_advised_on_and_its_padded_cache_told_of() {
    let kind = TYPES.iter().find(|kind| kind.view.axes == [Axis::Decode]).unwrap();
    let mut keys = entry(kind);
    keys["backend"] = json!(["AUTO", "NS_FLASH_DECODE"]);
    let experiment = experiment(&keys);
    let dir = TempDir::new().unwrap();
    let folder = report(dir.path(), &experiment, experiment.to_json()).folder;
    let findings = json(&folder.join("summary.json"))["findings"].to_string();
    assert_contains(&findings, &["of the measured copy bandwidth (medians)"]);
    let number = |before: &str, after: &str| {
        let number = Regex::new(&format!(r"{before} ([\d.]+)× {after}")).unwrap();
        number.captures(&findings).unwrap()[1].parse::<f64>().unwrap()
    };
    // The same times, with some noise; and twice as fast where the cache is aligned.
    let auto = number("AUTO takes up to", "as long as NS_FLASH_DECODE \\(head_dim");
    let padded = number("a cache kept at the next multiple of 8 is", "as fast at head_dim");
    assert!((auto - 1.0).abs() < 0.05 && (padded - 2.0).abs() < 0.1, "{auto} {padded}");
    // Of a single head_dim there is no median.
    let map = keys.as_object_mut().unwrap();
    map.retain(|key, _| !key.starts_with("head_dim"));
    keys["head_dims"] = json!([107, 112]);
    let single = self::experiment(&keys);
    let dir = TempDir::new().unwrap();
    let of_one = report(dir.path(), &single, single.to_json()).folder;
    let of_one = json(&of_one.join("summary.json"))["findings"].to_string();
    let says =
        Regex::new(r"a cache kept at [\w ]+ 8 is [\d.]+× as fast at head_dim 107\.").unwrap();
    assert!(says.is_match(&of_one), "{of_one}");
    let request = Request {
        operation: Some(Axis::Decode),
        curve: None,
        items: input::dims("107").unwrap(),
        max_overhead: 0.1,
        budget: None,
    };
    let runs = [read::raw(&folder).unwrap()];
    let advice = advise(&runs, &request).unwrap();
    assert_eq!(advice.recommendations[0].recommended_dim, Some(112));
    let other = Request { operation: Some(Axis::Sdpa), ..request };
    assert_contains(&advise(&runs, &other).unwrap_err().to_string(), &["no points of sdpa"]);
}

#[test]
fn a_run_of_an_unknown_type_is_a_plain_sweep() {
    let experiment = experiment(&entry(&TYPES[0]));
    let dir = TempDir::new().unwrap();
    let written = report(dir.path(), &experiment, json!({"type": "of_the_future"}));
    assert_eq!(names(&written.folder.join("plots")), ["latency.png", "latency.svg"]);
    assert_contains(&written.table, &["fastest dim"]);
}

#[test]
fn types_have_names_and_plots_of_their_own() {
    let mut seen = std::collections::HashSet::new();
    for kind in TYPES {
        assert!(seen.insert(kind.name), "{} stands twice", kind.name);
        assert!(seen.insert(kind.group), "{} stands twice", kind.group);
        assert!(kind.view.plots.iter().all(|plot| seen.insert(plot.name)), "{}", kind.name);
    }
}

/// Every value of a key that changes what is computed.
#[test]
fn cases_of_different_operations_have_different_ids() {
    let changes = [
        ("causal", json!(true)),
        ("provider", json!("pytorch")),
        ("provider", json!("both")),
        ("provider", json!("night-sweep")),
        ("backend", json!("FLASH")),
        ("backend", json!("NS_MATH")),
        ("backends", json!(["NS_FASTEST"])),
        ("dtype", json!("bf16")),
        ("layout", json!("nt")),
        ("layout", json!("tn")),
        ("layout", json!("tt")),
        ("batch", json!(3)),
        ("n_kv_heads", json!(1)),
        ("seq_len", json!(64)),
        ("M", json!(24)),
        ("N", json!(40)),
        ("K", json!(48)),
        ("M_values", json!([24])),
        ("total_N", json!(256)),
    ];
    for kind in TYPES {
        let mut entries = vec![entry(kind)];
        for (key, value) in &changes {
            // Each change alone, and together with those before it.
            for base in [entries[0].clone(), entries.last().unwrap().clone()] {
                let mut changed = base.clone();
                if set(&mut changed, key, value) && changed != base && parse(&changed).is_ok() {
                    entries.push(changed);
                }
            }
        }
        assert!(entries.len() > 2, "{}", kind.name);
        let mut known: HashMap<String, Operation> = HashMap::new();
        for entry in &entries {
            for case in parse(entry).unwrap().experiment(NAME).unwrap().cases() {
                let operation = known.entry(case.id.clone()).or_insert(case.operation.clone());
                assert_eq!(*operation, case.operation, "{} for {entry}", case.id);
            }
        }
    }
}

/// Sets a key wherever it is in the entry; `n_kv_heads` wherever there are heads.
fn set(entry: &mut Value, key: &str, value: &Value) -> bool {
    match entry {
        Value::Object(keys) => {
            let beside = if key == "n_kv_heads" { "n_heads" } else { key };
            let is_here = keys.contains_key(beside);
            if is_here {
                keys.insert(key.to_owned(), value.clone());
            }
            keys.values_mut().fold(is_here, |any, inner| set(inner, key, value) || any)
        }
        Value::Array(items) => {
            items.iter_mut().filter_map(|item| set(item, key, value).then_some(())).count() > 0
        }
        _ => false,
    }
}

#[test]
fn two_entries_cannot_have_one_id_for_different_operations() {
    let pattern = |dims: [usize; 2]| {
        json!({"type": "hetero_batching", "total_N": 64, "H": 2,
            "patterns": {"mild": {"groups": dims.map(|dim| json!({"dim": dim, "count": 1}))}}})
    };
    let parse = |second: Value| {
        let text = json!({"experiments": {"H_a": pattern([8, 16]), "H_b": second}}).to_string();
        Spec::parse(&text, Path::new("spec.yaml"))
    };
    // The same thing twice is no mistake: with another protocol, say.
    parse(pattern([8, 16])).unwrap();
    let error = parse(pattern([8, 24])).unwrap_err().to_string();
    assert_contains(&error, &["H_b: H_a has the id HET1/T64_H2_fp16/mild for something else"]);
}
