//! Bad input: a line each, and nothing printed or written.

use crate::{CONFIG, Model};
use std::fs;

#[test]
fn a_config_that_is_none_is_refused() {
    let model = Model::new();
    let refused = |text: &str, parts: &[&str]| {
        model.write("config.json", text);
        model.run(&[]).refused_for(&[&["config.json"], parts].concat());
    };
    refused("[]", &["JSON map"]);
    refused("{\"hidden_size\": 1", &["no valid JSON"]);
    refused(&CONFIG.replace("llama", "mixtral"), &["mixtral", "known are llama, mistral"]);
    refused(&CONFIG.replace("\"vocab_size\": 100,", ""), &["key vocab_size is missing"]);
    refused(&CONFIG.replace("64", "\"wide\""), &["key hidden_size", "is no size"]);
    fs::remove_file(model.path("config.json")).unwrap();
    model.run(&[]).refused_for(&["cannot read", "config.json", "No such file"]);
    // A folder stands for the config in it.
    crate::support::night_sweep(&["model", &model.text("")]).refused_for(&["config.json"]);
}

#[test]
fn dimensions_that_do_not_fit_the_model_are_refused() {
    let model = Model::new();
    let refused = |text: &str, parts: &[&str]| {
        model.write("dims", text);
        model.compressed(&["--spec", &model.text("spec.yaml")]).refused_for(parts);
        assert!(!model.path("spec.yaml").exists());
    };
    refused("name;what\nq_proj;8\n", &["dims: ", "name, what", "known are: a JSON list"]);
    refused(r#"{"q_proj": "wide"}"#, &["dims: ", "\"wide\" is no dimension", "known are"]);
    refused("[]", &["there is no dimension in it"]);
    refused(r#"{"layers.1.k_proj": 33}"#, &["layer 1, self_attn.k_proj", "33 is above 32"]);
    refused(r#"{"layers.1.mlp.width": 97}"#, &["layer 1", "97 is above the dense one, 96"]);
    refused(r#"{"layers.2.k_proj": 8}"#, &["layers.2.k_proj", "no layer 2, the model has 2"]);
    refused(r#"{"layers.0.k_proj": 8, "L0.k_proj": 9}"#, &["L0.k_proj", "another rank too"]);
    refused(r#"{"layers.0.k_proj": [8, 8, 8]}"#, &["k_proj", "3 groups do not divide 32 outputs"]);
    let names = r#"{"model.layers.0.experts": 8, "transformer.wte": 9}"#;
    refused(names, &["none of these names", "model.layers.0.experts, transformer.wte"]);
}

#[test]
fn names_that_match_nothing_are_named() {
    let model = Model::new();
    model.write("dims", r#"{"layers.0.k_proj": 8, "layers.1.experts": 9, "transformer.wte": 9}"#);
    let ran = model.compressed(&[]).succeeded();
    let note = "left out, as they name no module: layers.1.experts, transformer.wte\n";
    assert_eq!(ran.stderr, format!("night-sweep: {note}"));
}

#[test]
fn options_that_cannot_be_are_refused() {
    let model = Model::new();
    let refused = |arguments: &[&str], parts: &[&str]| {
        model.compressed(arguments).refused_for(parts);
    };
    for tokens in ["", "1,x", "0", "-1", "1.5", "99999999999999999999"] {
        refused(&[&format!("--tokens={tokens}")], &["--tokens", "is no number of tokens"]);
    }
    refused(&["--tokens", "1,2,1"], &["--tokens: 1 stands twice"]);
    refused(&["--tokens", "99999999"], &["prefill: 99999999 tokens are too many"]);
    refused(&["--context", "99999999"], &["context: 99999999 tokens are too many"]);
    refused(&["--max-overhead", "10"], &["--max-overhead", "is no percentage"]);
    refused(&["--dtype", "int8"], &["dtype: \"int8\" is not known"]);
    refused(&["--tp", "3"], &["tp: 3 does not divide model.n_heads, 4"]);
    refused(&["--tp", "4"], &["tp: 4 does not divide model.n_kv_heads, 2"]);
    refused(&["--tp", "2"], &["mlp_widths: layer 1: tp, 2, does not divide 67"]);
    refused(&["--groups", "3"], &["q_proj", "3 groups do not divide 64 outputs"]);
    refused(&["--dims-are", "widths"], &["q_proj", "the width of attention is that of its heads"]);
}

#[test]
fn a_file_of_another_is_left_alone() {
    let model = Model::new();
    let mine = model.write("mine.yaml", "experiments: {}\n");
    model.compressed(&["--spec", &mine]).refused_for(&["mine.yaml", "did not write it"]);
    assert_eq!(model.read("mine.yaml"), "experiments: {}\n");
    let nowhere = model.text("no/folder/spec.yaml");
    model.compressed(&["--spec", &nowhere]).refused_for(&["cannot write", "spec.yaml"]);
}
