//! The spec entry that measures a model.

use super::assign::Assigned;
use crate::experiments::model_layers::{self, architecture::Architecture};
use anyhow::Result;
use serde_json::{Map, Value, json};

/// What the entry has beside the model and its dimensions.
#[derive(Debug)]
pub struct Asked {
    pub dtype: String,
    pub decode: Vec<usize>,
    pub prefill: Vec<usize>,
    pub context: usize,
    pub tp: usize,
    pub max_overhead_pct: f64,
    /// The files that the entry was made of.
    pub sources: Vec<String>,
}

/// What it is called.
pub const NAME: &str = "M1_model_layers";

/// The keys of the entry.
pub fn entry(model: &Architecture, assigned: &Assigned, asked: &Asked) -> Map<String, Value> {
    let mut keys = Map::new();
    let mut add = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    add("type", json!(model_layers::TYPE.name));
    let what = format!("What do the dimensions of {} cost, and what would others?", model.name);
    add("description", json!(what));
    add("provenance", json!({ "files": asked.sources }));
    add("model", json!(model));
    add("dtype", json!(asked.dtype));
    let of_layer = |ranks: &Vec<usize>| match ranks[..] {
        [] => Value::Null,
        [one] => json!(one),
        _ => json!(ranks),
    };
    let ranks: Map<String, Value> = assigned
        .ranks
        .iter()
        .map(|(linear, layers)| (linear.name().to_owned(), layers.iter().map(of_layer).collect()))
        .collect();
    if !ranks.is_empty() {
        add("ranks", ranks.into());
    }
    if let Some(widths) = &assigned.mlp_widths {
        add("mlp_widths", json!(widths));
    }
    for (key, counts) in [("decode", &asked.decode), ("prefill", &asked.prefill)] {
        if !counts.is_empty() {
            add(key, json!(counts));
        }
    }
    add("context", json!(asked.context));
    add("tp", json!(asked.tp));
    add("max_overhead_pct", json!(asked.max_overhead_pct));
    add("protocol", json!("adaptive"));
    keys
}

/// The first line of a spec that this writes, and may replace.
const WRITTEN: &str = "# Written by night-sweep model.";

/// Whether a file is one that this wrote.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(WRITTEN.as_bytes())
}

/// The spec as YAML: a key a line, what it holds in the brackets that YAML has of JSON.
pub fn yaml(entry: &Map<String, Value>) -> Result<String> {
    let mut text = format!("{WRITTEN}\nexperiments:\n  {NAME}:\n");
    for (key, value) in entry {
        text += &match value {
            Value::Object(keys) if key == "ranks" => {
                let ranks = keys.iter().map(|(linear, ranks)| format!("\n      {linear}: {ranks}"));
                format!("    {key}:{}\n", ranks.collect::<String>())
            }
            value => format!("    {key}: {}\n", serde_json::to_string(value)?),
        };
    }
    Ok(text)
}
