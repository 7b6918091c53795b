//! The `config.json` of a Hugging Face model.

use crate::experiments::model_layers::architecture::Architecture;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, from_str, from_value, json};

/// Decoders whose layers are q, k, v, o, gate, up and down. Others (mixtures of experts, fused
/// projections) have other GEMMs.
const KNOWN: [&str; 10] = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "ministral",
    "smollm3",
];

/// The architecture that a config describes; `name` is what to call a model that has none.
pub fn read(text: &str, name: &str) -> Result<Architecture> {
    let config: Value = from_str(text.trim_start_matches('\u{feff}')).context("no valid JSON")?;
    ensure!(config.is_object(), "a config.json is a JSON map");
    // Models that see images as well keep their decoder's keys one level below.
    let decoder = match &config["text_config"] {
        Value::Object(_) => &config["text_config"],
        _ => &config,
    };
    let kind = decoder["model_type"].as_str().or(config["model_type"].as_str());
    let kind = kind.context("key model_type is missing: is it a Hugging Face config.json?")?;
    if !KNOWN.contains(&kind) {
        bail!("model_type {kind:?} has other layers; known are {}", KNOWN.join(", "));
    }
    let key = |name: &str| -> Result<Option<usize>> {
        match &decoder[name] {
            Value::Null => Ok(None),
            value => {
                let size = value.as_u64().filter(|size| *size > 0);
                let size = size.with_context(|| format!("key {name}: {value} is no size"))?;
                Ok(Some(size as usize))
            }
        }
    };
    let needed = |name: &str| key(name)?.with_context(|| format!("key {name} is missing"));
    let (hidden_size, n_heads) = (needed("hidden_size")?, needed("num_attention_heads")?);
    let head_dim = match key("head_dim")? {
        Some(head_dim) => head_dim,
        None => {
            ensure!(
                hidden_size.is_multiple_of(n_heads),
                "{n_heads} heads do not divide hidden_size, {hidden_size}: give head_dim"
            );
            hidden_size / n_heads
        }
    };
    let own_name = config["_name_or_path"].as_str().filter(|name| !name.is_empty());
    let tied = decoder["tie_word_embeddings"].as_bool().or(config["tie_word_embeddings"].as_bool());
    let model = json!({
        "name": own_name.unwrap_or(name),
        "n_layers": needed("num_hidden_layers")?,
        "hidden_size": hidden_size,
        "n_heads": n_heads,
        "n_kv_heads": key("num_key_value_heads")?.unwrap_or(n_heads),
        "head_dim": head_dim,
        "intermediate_size": needed("intermediate_size")?,
        "vocab_size": needed("vocab_size")?,
        // Gemma's configs leave it out.
        "tied": tied.unwrap_or(kind.starts_with("gemma")),
    });
    Ok(from_value(model)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA: &str = r#"{"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32,
        "num_key_value_heads": 8, "num_hidden_layers": 32, "intermediate_size": 14336,
        "vocab_size": 128256, "tie_word_embeddings": false}"#;

    #[test]
    fn forms_of_configs_are_read() {
        let model = read(LLAMA, "Llama-3-8B").unwrap();
        assert_eq!((model.head_dim.get(), model.n_kv_heads.get(), model.tied), (128, 8, false));
        assert_eq!(model.name, "Llama-3-8B");
        let gemma = r#"{"model_type": "gemma3", "_name_or_path": "google/gemma-3-4b",
            "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "head_dim": 256,
            "num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 34,
            "intermediate_size": 10240, "vocab_size": 262208}}"#;
        let model = read(gemma, "config").unwrap();
        assert_eq!((model.head_dim.get(), model.tied), (256, true));
        assert_eq!(model.name, "google/gemma-3-4b");
        // Without KV heads of their own, all heads have keys.
        let qwen = LLAMA.replace("llama", "qwen2").replace("\"num_key_value_heads\": 8,", "");
        assert_eq!(read(&qwen, "Qwen").unwrap().n_kv_heads.get(), 32);
    }

    #[test]
    fn what_is_no_such_config_is_told_in_a_line() {
        let refused = |from: &str, to: &str, says: &str| {
            let error = format!("{:#}", read(&LLAMA.replace(from, to), "x").unwrap_err());
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        };
        refused("\"model_type\": \"llama\",", "", "model_type is missing");
        refused("llama", "mixtral", "known are llama, mistral");
        refused("\"vocab_size\": 128256,", "", "key vocab_size is missing");
        refused("4096", "\"wide\"", "key hidden_size: \"wide\" is no size");
        refused("4096", "0", "key hidden_size: 0 is no size");
        refused("\"num_attention_heads\": 32", "\"num_attention_heads\": 33", "do not divide");
        refused("{", "[", "no valid JSON");
    }
}
