//! What tells latencies apart.

use crate::{Runs, l1, m1, point, support, synthetic};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
use serde_json::{Value, json};

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
