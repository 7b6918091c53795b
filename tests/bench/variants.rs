//! What stands beside a row: other ways to compute it, as far as the device has them.

use crate::sandbox::{Sandbox, bench, finish};
use crate::support::assert_valid;
use serde_json::{Value, json};

const SPEC: &str = "\
experiments:
  S1_sdpa_dense_sweep:
    type: sdpa_dense
    shapes: [{batch: 2, seq_len: 16, n_heads: 4, n_kv_heads: 2}]
    head_dim_range: [15, 17]
    causal: true
    provider: night-sweep
    warmup: 1
    measure: 2
    trials: 2
  C21_backend_selection:
    type: sdpa_backend_selection
    shapes: [{batch: 1, seq_len: 16, n_heads: 1}, {batch: 1, seq_len: 24, n_heads: 1}]
    head_dims: [17, 16]
    detect_backend: true
    warmup: 1
    measure: 2
    trials: 2
  P1_padding_rescue:
    type: padding_rescue
    logical_head_dim: 11
    pad_options: [11, 16]
    sdpa_shape: {batch: 1, seq_len: 16, n_heads: 2, n_kv_heads: 1}
    gemm_shapes: [{M: 16, N: 24, K: 11}, {M: 16, K: 24, N: 11}]
    warmup: 1
    measure: 2
    trials: 2
  D1_sdpa_decode:
    type: sdpa_decode
    batch: 2
    n_heads: 4
    n_kv_heads: 2
    contexts: [1, 50]
    head_dims: [11, 16]
    backend: [AUTO, NS_MATH]
    warmup: 1
    measure: 2
    trials: 2
  HET1_head_hetero_batching_penalty:
    type: hetero_batching
    total_N: 32
    H: 4
    patterns:
      uniform: {groups: [{dim: 8, count: 4}]}
      mixed: {groups: [{dim: 8, count: 3}, {dim: 5, count: 1}]}
    warmup: 1
    measure: 2
    trials: 2
";

/// The rows of a run of `experiment` by `target`, every one of them with a time.
fn rows(target: &str, experiment: &str) -> Vec<Value> {
    let sandbox = Sandbox::new();
    sandbox.write_spec(SPEC);
    let mut command = sandbox.command(bench(target));
    command.arg("--bench").env("NIGHT_SWEEP_EXPERIMENT", experiment);
    let ran = finish(command).succeeded();
    assert_valid(&ran.folder());
    assert!(!ran.stdout.contains("unsupported") && !ran.stderr.contains("unsupported"));
    let raw = ran.json("raw");
    let rows = raw["measurements"].as_array().unwrap().clone();
    assert!(rows.iter().all(|row| row["error"].is_null()), "{rows:?}");
    rows
}

fn variants(row: &Value) -> Vec<&str> {
    row["variants"].as_object().map_or_else(Vec::new, |variants| {
        assert!(variants.values().all(|variant| variant["timing"]["p50"].is_f64()), "{row}");
        variants.keys().map(String::as_str).collect()
    })
}

#[test]
fn a_cpu_pads_nothing_and_says_nothing_of_it() {
    let rows = rows("s1_sdpa_dense", "S1_sdpa_dense_sweep");
    assert_eq!(rows.len(), 3);
    for (row, head_dim) in rows.iter().zip(15..) {
        let shape = json!({
            "batch": 2, "seq_len": 16, "n_heads": 4, "n_kv_heads": 2, "head_dim": head_dim,
        });
        assert_eq!(row["shape"], shape);
        assert_eq!(row["case_id"], format!("S1/b2_s16_h4_kv2_fp16_causal_night-sweep/d{head_dim}"));
        let chosen = json!([row["backend_selected"], row["stand_in"], row["backend_reason"]]);
        assert_eq!(chosen, json!(["CPU_BLOCKED", true, "stand-in for AUTO: CPU_BLOCKED"]));
        assert_eq!((&row["causal"], &row["padded_to"]), (&json!(true), &Value::Null));
        assert!(variants(row).is_empty());
    }
}

#[test]
fn the_backend_that_is_chosen_stands_in_every_row() {
    let rows = rows("s2_sdpa_backend_forced", "C21_backend_selection");
    let dims: Vec<_> = rows.iter().map(|row| row["dim"].as_u64().unwrap()).collect();
    assert_eq!(dims, [16, 17, 16, 17]);
    for row in &rows {
        assert_eq!(
            json!([row["backend"], row["backend_selected"]]),
            json!(["AUTO", "CPU_BLOCKED"])
        );
        assert!(row["backend_reason"].is_string());
    }
}

#[test]
fn padding_is_timed_with_its_copies_too() {
    let rows = rows("p1_padding_rescue", "P1_padding_rescue");
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let expected: &[&str] = if row["physical_dim"] == 16 { &["on_the_fly"] } else { &[] };
        assert_eq!(variants(row), expected, "{row}");
        if let [name] = variants(row)[..] {
            // The same work: the rates relate to each other as the times do.
            let (variant, timing) = (&row["variants"][name], &row["timing"]);
            let work = |of: &Value, timing: &Value| {
                of["derived"]["tflops_mean"].as_f64().unwrap() * timing["mean"].as_f64().unwrap()
            };
            let ratio = work(variant, &variant["timing"]) / work(row, timing);
            assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        }
    }
}

#[test]
fn a_decode_step_is_timed_with_a_padded_cache_too() {
    let rows = rows("d1_sdpa_decode", "D1_sdpa_decode");
    assert_eq!(rows.len(), 8);
    for (row, context) in rows.iter().zip([1, 1, 1, 1, 50, 50, 50, 50]) {
        let head_dim = row["dim"].as_u64().unwrap();
        let mut shape = json!({
            "batch": 2, "seq_len": 1, "n_heads": 4, "n_kv_heads": 2, "head_dim": head_dim,
        });
        if context > 1 {
            shape["kv_len"] = json!(context);
        }
        assert_eq!((&row["shape"], &row["context"]), (&shape, &json!(context)));
        let expected: &[&str] = if head_dim == 11 { &["padded_cache"] } else { &[] };
        assert_eq!(variants(row), expected, "{row}");
        let moved = |of: &Value, timing: &Value| {
            let gbs = of["derived"]["bandwidth_gbs_mean"].as_f64().unwrap();
            gbs * 1e9 * timing["mean"].as_f64().unwrap() * 1e-3
        };
        let vectors = (2 * 2 * 4 + 2 * 2 * 2 * context) as f64;
        let bytes = moved(row, &row["timing"]);
        assert!((bytes / (vectors * head_dim as f64 * 2.0) - 1.0).abs() < 1e-9, "{bytes}");
        if let [name] = variants(row)[..] {
            let variant = &row["variants"][name];
            let bytes = moved(variant, &variant["timing"]);
            assert!((bytes / (vectors * 16.0 * 2.0) - 1.0).abs() < 1e-9, "{bytes}");
        }
    }
}

#[test]
fn a_pattern_is_computed_in_every_way_that_the_device_has() {
    let rows = rows("het1_head_hetero", "HET1_head_hetero_batching_penalty");
    assert!(variants(&rows[0]).is_empty());
    assert_eq!(variants(&rows[1]), ["concurrent", "padded", "sum_of_parts"]);
}
