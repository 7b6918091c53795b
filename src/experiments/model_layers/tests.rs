use super::architecture::Architecture;

/// Llama-3-8B.
pub fn llama() -> Architecture {
    serde_json::from_value(serde_json::json!({
        "name": "Llama-3-8B", "n_layers": 32, "hidden_size": 4096, "n_heads": 32, "n_kv_heads": 8,
        "head_dim": 128, "intermediate_size": 14336, "vocab_size": 128_256,
    }))
    .unwrap()
}
