//! The report on runs that never happened, whose times follow from the work: what it says of them,
//! and the dimensions that it writes.

use crate::support::{assert_contains, assert_valid, compress, json};
use crate::synthetic::{self, Outcome};
use crate::{DIMS, Model, browser};
use night_sweep::render;
use night_sweep::spec::Spec;
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What a case takes in ms: twice as long where its dimension is misaligned, but for whole layers.
fn ms(case: &Case) -> f64 {
    let is_aligned = case.dim.is_multiple_of(8) || case.id.contains("layer_");
    case.operation.flops() / 1e6 * if is_aligned { 1.0 } else { 2.0 }
}

/// The folder of a run of `model` in which cases took `outcome`.
fn measured(
    model: &Model,
    options: &[&str],
    outcome: impl Fn(&Case) -> Result<f64, (ErrorKind, &'static str)>,
) -> PathBuf {
    let spec = model.text("spec.yaml");
    let tokens = ["--tokens", "8,128", "--context", "64"];
    model.compressed(&[&["--spec", &*spec], &tokens[..], options].concat()).succeeded();
    let spec = Spec::load(&model.path("spec.yaml")).unwrap();
    let experiment = spec.experiment("M1_model_layers").unwrap();
    let outcomes: Vec<Outcome> =
        experiment.cases().into_iter().map(|case| (case.clone(), outcome(&case))).collect();
    let (mut header, lines) = synthetic::journal_of("M1", "M1_model_layers", "cuda:0", &outcomes);
    header.config = experiment.to_json();
    let root = model.path("run");
    let journal = synthetic::write(&root.join("journal"), header, &lines);
    let written = render::write(&journal, &root.join("criterion"), &root.join("reports")).unwrap();
    assert_valid(&written.folder);
    written.folder
}

fn summary(folder: &Path) -> Value {
    json(&folder.join("summary.json"))
}

fn plan<'a>(summary: &'a Value, step: usize, name: &str) -> &'a Value {
    let plans = summary["model"]["steps"][step]["plans"].as_array().unwrap();
    plans.iter().find(|plan| plan["plan"] == name).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn totals_are_the_sums_of_their_parts() {
    let model = Model::new();
    let folder = measured(&model, &[], |case| Ok(ms(case)));
    let (summary, raw) = (summary(&folder), json(&folder.join("raw.json")));
    let p50 = |id: &str| {
        let rows = raw["measurements"].as_array().unwrap();
        let id = format!("M1/{id}");
        number(&rows.iter().find(|row| row["case_id"] == *id).unwrap()["timing"]["p50"])
    };
    // q and o, k and v, gate and up have a shape in common.
    let linear = |k, n| p50(&format!("linear_M8_K{k}_bf16/N{n}"));
    let attention = p50("attention_b8_context64_h4_kv2_bf16/d16");
    let down = |k| p50(&format!("linear_M8_N64_bf16/K{k}"));
    let rest =
        |mlp| 2.0 * linear(64, 32) + attention + linear(64, 64) + 2.0 * linear(64, mlp) + down(mlp);
    let dense = 2.0 * (linear(64, 64) + rest(96)) + linear(64, 100);
    let as_is = linear(64, 21) + down(21) + rest(96) + linear(64, 64) + rest(67) + linear(64, 100);
    for (name, expected) in [("dense", dense), ("as_is", as_is)] {
        let plan = plan(&summary, 0, name);
        assert!((number(&plan["total_ms"]) / expected - 1.0).abs() < 1e-9, "{name}: {plan}");
        let [low, high] = [0, 1].map(|at| number(&plan["ci95_ms"][at]));
        assert!(low < expected && expected < high && high / low < 1.1, "{low} to {high}");
        let speedup = number(&plan["speedup_over_dense"]);
        assert!((speedup * expected / dense - 1.0).abs() < 1e-9);
        let [low, high] = [0, 1].map(|at| number(&plan["ci95_over_dense"][at]));
        assert!(low <= speedup && speedup <= high, "{low} to {high}");
        // What is the same in both tells nothing: dense is as fast as dense, for certain.
        assert_eq!(low == high, name == "dense");
    }
    let parameters = |name: &str| {
        let plans = summary["model"]["plans"].as_array().unwrap();
        plans.iter().find(|plan| plan["plan"] == name).unwrap()["parameters"].as_u64().unwrap()
    };
    // Of a layer 2 x (64 x 64 + 64 x 32) + 3 x 64 x 96, and the embedding, which is lm_head too.
    assert_eq!(parameters("dense"), 2 * 30720 + 6400);
    let saved = 64 * 64 - 21 * 128 + 3 * 64 * (96 - 67);
    assert_eq!(parameters("as_is"), parameters("dense") - saved);
    assert_eq!(parameters("round_8"), parameters("as_is") + 3 * 128 + 5 * 192);
}

#[test]
fn the_findings_say_whether_it_paid_and_what_to_change() {
    let model = Model::new();
    let folder = measured(&model, &[], |case| Ok(ms(case)));
    let summary = summary(&folder);
    let findings = summary["findings"].to_string();
    let parts =
        ["decode 8: compression does not pay: 0.9", "prefill 128: compression does not pay"];
    assert_contains(&findings, &parts);
    assert_contains(&findings, &["Most is lost in mlp of layer 1: 67 to 72 saves"]);
    let modules = summary["model"]["modules"].as_array().unwrap();
    let change = |at: usize| {
        let module = &modules[at];
        assert!(
            number(&module["saved_pct"]) > 0.0 && module["saved_ms"].as_array().unwrap().len() == 2
        );
        json!([module["module"], module["layers"], module["dims"], module["advised"]])
    };
    assert_eq!(change(0), json!(["mlp", [1], [67], [72]]));
    assert_eq!(change(1), json!(["self_attn.q_proj", [0], [21], [24]]));
    assert_eq!(modules.len(), 2);
    let advised = number(&plan(&summary, 0, "advised")["total_ms"]);
    assert!(advised <= number(&plan(&summary, 0, "round_8")["total_ms"]));
    assert_eq!(summary["model"]["notes"], json!([]));
}

#[test]
fn a_model_that_is_not_compressed_has_nothing_to_pay_for() {
    let model = Model::new();
    model.write("dims", r#"{"layers.0.mlp.width": 96}"#);
    let summary = summary(&measured(&model, &[], |case| Ok(ms(case))));
    let findings = summary["findings"].to_string();
    assert_contains(&findings, &["Nothing of this model is compressed"]);
    assert!(!findings.contains("compression pays"), "{findings}");
}

#[test]
fn a_plan_that_is_faster_and_too_large_is_explained() {
    let model = Model::new();
    let folder = measured(&model, &["--max-overhead", "1%"], |case| Ok(ms(case)));
    let summary = summary(&folder);
    let notes = summary["model"]["notes"].to_string();
    // Rounding to 8 has (3 x 128 + 5 x 192) of 54464 weights more.
    let why = "its layers have 2.5 % more parameters than as is; 1.0 % are allowed";
    assert_contains(&notes, &["decode 8: round_8 is ", " faster: ", why]);
}

#[test]
fn a_layer_that_is_not_the_sum_of_its_parts_has_a_note() {
    let model = Model::new();
    // The width of the layer's MLP, 67, slows its parts down, and not the graph.
    let folder = measured(&model, &[], |case| Ok(ms(case)));
    let summary = summary(&folder);
    let layers = summary["model"]["whole_layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2 * 4);
    for layer in layers {
        let [graph, parts, pct] =
            ["graph_ms", "parts_ms", "difference_pct"].map(|key| number(&layer[key]));
        assert!(((parts / graph - 1.0) * 100.0 - pct).abs() < 1e-9 && layer["layer"] == 1);
        assert_eq!(pct.abs() > 5.0, layer["plan"] == "as_is", "{layer}");
        assert_eq!(pct.abs() > 5.0, layer.get("note").is_some(), "{layer}");
    }
    let text = crate::support::night_sweep(&["summary", folder.to_str().unwrap()]).succeeded();
    assert_contains(&text.stdout, &["6 of 8 within 5 %", "(as_is,"]);
}

#[test]
fn a_part_that_failed_leaves_no_total_and_is_named() {
    let model = Model::new();
    let folder = measured(&model, &[], |case| {
        let fails = case.id.ends_with("linear_M8_K64_bf16/N21");
        if fails { Err((ErrorKind::OutOfMemory, "out of memory")) } else { Ok(ms(case)) }
    });
    let summary = summary(&folder);
    let as_is = plan(&summary, 0, "as_is");
    for key in ["total_ms", "ci95_ms", "speedup_over_dense", "ci95_over_dense"] {
        assert!(as_is[key].is_null(), "{key}: {as_is}");
    }
    assert_eq!(as_is["missing"], "M1/linear_M8_K64_bf16/N21: out of memory");
    // Plans and steps without it are as before.
    assert!(plan(&summary, 0, "round_8")["total_ms"].is_number());
    assert!(plan(&summary, 1, "as_is")["total_ms"].is_number());
    let findings = summary["findings"].to_string();
    assert_contains(
        &findings,
        &["decode 8: M1/linear_M8_K64_bf16/N21: out of memory", "prefill 128"],
    );
}

#[test]
fn the_advised_dimensions_are_written_in_the_form_that_came_in() {
    let forms = [
        DIMS,
        r#"{"head_wise_ranks": {"model.layers.0.self_attn.q_proj": [21]}, "kept": "as it is"}"#,
        r#"[{"name": "layers.0.q_proj", "dim": 21}, {"name": "layers.1.mlp", "dim": 67}]"#,
        "name,dim,why\nlayers.0.q_proj,21,asvd\nlayers.1.mlp,67,pruned\n",
        // The first layer is dense, and stays so.
        r#"{"block_configs": [
            {"ffn": {"intermediate_size": 96}}, {"ffn": {"intermediate_size": 67}}]}"#,
    ];
    for form in forms {
        let model = Model::new();
        model.write("dims", form);
        let folder = measured(&model, &[], |case| Ok(ms(case)));
        let (folder, out) = (folder.to_str().unwrap().to_owned(), model.text("advised"));
        let ran = model.compressed(&["--run", &folder, "--write-dims", &out]).succeeded();
        let all = ["21", "67", "96"].map(|dim| form.matches(dim).count());
        let (changed, all) = (all[0] + all[1], all.iter().sum::<usize>());
        assert_contains(&ran.stdout, &[&format!("{changed} of {all} dimensions changed: {out}")]);
        compress(Path::new(&folder));
        let published = model.text("published");
        let again = model.compressed(&["--run", &folder, "--write-dims", &published]).succeeded();
        assert_eq!(again.stdout, ran.stdout.replace(&out, &published));
        assert_eq!(model.read("published"), model.read("advised"));
        let bare = |text: &str| text.replace(char::is_whitespace, "");
        let expected = form.replace("21", "24").replace("67", "72");
        assert_eq!(bare(&model.read("advised")), bare(&expected));
        // It is read like the one that came in, and never written over.
        model.run(&["--dims", &out]).succeeded();
        let again = model.compressed(&["--run", &folder, "--write-dims", &out]);
        again.refused_for(&["advised: there is a file of that name"]);
    }
}

#[test]
fn a_run_of_another_model_advises_nothing() {
    let model = Model::new();
    let folder = measured(&model, &[], |case| Ok(ms(case))).to_str().unwrap().to_owned();
    let out = model.text("advised");
    let write = |run: &str| model.compressed(&["--run", run, "--write-dims", &out]);
    model.write("dims", r#"{"layers.0.v_proj": 21}"#);
    write(&folder).refused_for(&["no advice for layers.0.v_proj: it is of another model"]);
    write(&model.text("none")).refused_for(&["cannot read", "none/summary.json"]);
    // A file that says what does not fit this one.
    model.write("dims", r#"{"layers.0.q_proj": 21}"#);
    let file = Path::new(&folder).join("summary.json");
    let summary = crate::support::json(&file);
    for (advised, says) in [
        (json!([0]), "[0] has no dimension for it"),
        (json!([]), "[] has no dimension for it"),
        (json!([u64::MAX]), "rank 18446744073709551615 is above 64"),
    ] {
        let mut changed = summary.clone();
        for module in changed["model"]["modules"].as_array_mut().unwrap() {
            module["advised"] = advised.clone();
        }
        std::fs::write(&file, changed.to_string()).unwrap();
        write(&folder).refused_for(&["the run's advice for layers.0.q_proj", says]);
    }
    let mut changed = summary;
    changed["schema_version"] = json!("9.0");
    std::fs::write(&file, changed.to_string()).unwrap();
    write(&folder).refused_for(&["summary.json: schema version 9.0"]);
    assert!(!model.path("advised").exists());
}

#[test]
#[ignore = "needs chromium"]
fn the_page_draws_the_curves_and_lists_the_rest() {
    let model = Model::new();
    let folder = measured(&model, &[], |case| Ok(ms(case)));
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    let seen = browser::seen(&page);
    // One point each: attention, and a whole layer in each phase.
    let data = browser::data(&page);
    let drawn: Vec<&str> =
        data["panels"].as_array().unwrap().iter().map(|title| title.as_str().unwrap()).collect();
    let of = |m| [format!("M={m} K=64, over N"), format!("M={m} N=64, over K")];
    assert_eq!(drawn, [of(8), of(128)].concat());
    assert_eq!(seen["panels"], 4);
    let points = data["points"].as_array().unwrap().iter();
    let on_panels = points.filter(|point| point.get("panel").is_some()).count();
    assert_eq!(seen["dots"], on_panels);
    let key_right = seen["key_right"].as_str().unwrap();
    assert!(key_right.contains("M=8 K=64, over N"), "{key_right}");
    assert_eq!(seen["too_wide"], false);
    assert!(seen["dots_one_off"].as_u64().unwrap() < on_panels as u64);
}
