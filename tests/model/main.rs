//! `night-sweep model` and M1: from a config and the dimensions that a compression left to the
//! report on them, and back to a file of dimensions.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../browser/mod.rs"]
mod browser;
mod refused;
mod report;
mod run;
#[allow(dead_code)]
#[path = "../bench/sandbox.rs"]
mod sandbox;
mod shapes;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../synthetic/mod.rs"]
mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, night_sweep};
use tempfile::TempDir;

/// Two layers that a processor computes in microseconds.
const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 100,
    "tie_word_embeddings": true}"#;

/// A rank in the first, a width in the second.
const DIMS: &str = r#"{"model.layers.0.self_attn.q_proj": 21, "model.layers.1.mlp.width": 67}"#;

/// A config and dimensions in a folder of their own, for a test to change.
struct Model {
    dir: TempDir,
}

impl Model {
    fn new() -> Model {
        let model = Model { dir: tempfile::tempdir().unwrap() };
        model.write("config.json", CONFIG);
        model.write("dims", DIMS);
        model
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of a file with that content.
    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.text(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        night_sweep(&[&["model", &*self.text("config.json")], arguments].concat())
    }

    /// With its dimensions.
    fn compressed(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["--dims", &*self.text("dims")], arguments].concat())
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/models")
}
