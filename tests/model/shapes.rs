//! What is printed and written without measuring.

use crate::support::{assert_contains, night_sweep};
use crate::{Model, examples};
use night_sweep::spec::Spec;
use serde_json::Value;

/// The entry that the model and its dimensions become.
fn entry(model: &Model, config: &str, arguments: &[&str]) -> (String, Value) {
    let spec = model.text("spec.yaml");
    let ran = night_sweep(&[&["model", config, "--spec", &*spec], arguments].concat()).succeeded();
    night_sweep(&["validate", &spec]).succeeded();
    let parsed = Spec::load(&model.path("spec.yaml")).unwrap();
    (ran.stdout + &ran.stderr, parsed.experiment("M1_model_layers").unwrap().to_json())
}

fn array<'a>(entry: &'a Value, key: &str) -> &'a Vec<Value> {
    entry.pointer(key).unwrap_or_else(|| panic!("no {key}")).as_array().unwrap()
}

#[test]
fn each_example_becomes_a_spec_and_its_shapes_are_shown() {
    let llama = examples().join("llama-3-8b");
    let of = |file: &str| {
        let (folder, dims) = (llama.to_str().unwrap(), llama.join(file));
        entry(&Model::new(), folder, &["--dims", dims.to_str().unwrap()])
    };
    let (text, entry) = of("palu_r07.json");
    let parts = ["91 distinct GEMMs of Llama-3-8B", "K misaligned", "decode of 16", "as_is"];
    assert_contains(&text, &parts);
    assert_eq!(entry["model"]["intermediate_size"], 14336);
    assert_eq!(array(&entry, "/ranks/k_proj")[0], serde_json::json!([157, 157]));
    assert_eq!((&entry["decode"][1], &entry["prefill"][0]), (&16.into(), &512.into()));
    assert!(entry.get("mlp_widths").is_none(), "{entry}");

    let (text, entry) = of("svdllm_r07.json");
    assert_contains(&text, &["8 distinct GEMMs", "gate_proj, up_proj", "2230"]);
    assert_eq!(array(&entry, "/ranks/v_proj"), &vec![Value::from(573); 32]);
    assert_eq!(array(&entry, "/ranks/down_proj"), &vec![Value::from(2230); 32]);

    // No module is named in these: that is said, and what is done about it.
    let (text, entry) = of("llmpruner.json");
    assert_contains(
        &text,
        &["no module is named by mlp_intermediate_4875", "and 9 more", "widths"],
    );
    assert_eq!(array(&entry, "/mlp_widths")[..2], [4875, 5637]);
    let (text, entry) = of("asvd.json");
    assert_contains(&text, &["no module is named by asvd_k_300", "taken as ranks"]);
    assert_eq!(array(&entry, "/ranks/q_proj")[0], 300);
    assert_eq!(entry["ranks"].as_object().unwrap().len(), 7);
}

#[test]
fn the_example_for_a_processor_is_the_entry_of_its_spec() {
    let (tiny, model) = (examples().join("tiny"), Model::new());
    let dims = tiny.join("dims.json");
    let options = ["--tokens", "1,64", "--decode-up-to", "1", "--context", "256"];
    let more = ["--dtype", "fp16", "--dims", dims.to_str().unwrap()];
    let (_, mut made) = entry(&model, tiny.to_str().unwrap(), &[&options[..], &more].concat());
    let cpu = examples().parent().unwrap().join("night_sweep_cpu.yaml");
    let spec = Spec::load(&cpu).unwrap();
    let mut kept = spec.experiment("M1_model_layers").unwrap().to_json();
    for entry in [&mut made, &mut kept] {
        // Words, and where the files lie.
        entry.as_object_mut().unwrap().retain(|key, _| key != "description" && key != "provenance");
    }
    assert_eq!(made, kept);
}

#[test]
fn what_the_split_over_gpus_misaligns_is_told() {
    let model = Model::new();
    // 72 is a multiple of 8; its half is not one of 8, and 67 has no half.
    model.write("dims", r#"{"layers.1.mlp.width": 72}"#);
    let text = model.compressed(&[]).succeeded().stdout;
    assert_contains(&text, &["0 of 14 GEMMs have a dimension that is no multiple of 8."]);
    let text = model.compressed(&["--tp", "2"]).succeeded().stdout;
    assert_contains(&text, &["3 of 14 GEMMs have", "Before the split over 2 GPUs: 0."]);
}

#[test]
fn a_spec_that_it_wrote_is_replaced() {
    let model = Model::new();
    let spec = model.text("spec.yaml");
    model.compressed(&["--spec", &spec]).succeeded();
    model.compressed(&["--spec", &spec, "--tokens", "3"]).succeeded();
    assert_contains(&model.read("spec.yaml"), &["decode: [3]", "# Written by night-sweep model."]);
}
