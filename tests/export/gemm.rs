//! Padding plans and contracts, against what can be worked out by hand.

use crate::synthetic::{Outcome, g3_case};
use crate::{Runs, l1, point, synthetic};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A sweep of K with these times in ms and intervals.
fn sweep(runs: &Runs, times: &[(usize, f64, [f64; 2])]) {
    let outcome = |&(k, ms, _): &(usize, f64, [f64; 2])| (g3_case(64, 32, k), Ok(ms));
    runs.add("G3", &times.iter().map(outcome).collect::<Vec<_>>(), |raw| {
        for (k, ms, interval) in times {
            point(raw, &format!("G3/fp16/K{k}"), *ms, *interval);
        }
    });
}

#[test]
fn a_plan_pads_dimensions_of_gemms() {
    let runs = Runs::new();
    sweep(
        &runs,
        &[
            (100, 1.0, [0.98, 1.02]),
            (104, 0.5, [0.49, 0.51]),
            (112, 0.4, [0.1, 1.2]),
            (126, 0.1, [0.09, 0.11]),
        ],
    );
    runs.add("L1", &l1(), |raw| {
        point(raw, "L1/M16/r107", 0.02, [0.019, 0.021]);
        point(raw, "L1/M16/r112", 0.01, [0.009, 0.011]);
    });
    runs.add("S2", &synthetic::s2(), |_| ());
    let plan = runs.json(&["G3", "L1", "S2"], "padding-plan");
    let [of_k, of_rank] = &plan["entries"].as_array().unwrap()[..] else { panic!("{plan}") };
    assert_eq!((&of_k["axis"], &of_k["shape"]), (&json!("gemm-k"), &json!({"M": 64, "N": 32})));
    assert_eq!((&of_k["layout"], &of_k["provider"]), (&json!("nn"), &json!("cublaslt")));
    let pads: BTreeMap<u64, (u64, f64)> = of_k["pad"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pad| {
            let factor = pad["factor"].as_f64().unwrap();
            (pad["dim"].as_u64().unwrap(), (pad["pad_to"].as_u64().unwrap(), factor))
        })
        .collect();
    // 112 may be slower than 100 is, and 126 is more than 25 % larger than that.
    let expected = [(100, (104, 2.0)), (104, (126, 5.0))];
    assert_eq!(pads, BTreeMap::from(expected));
    assert_eq!(of_k["keep"], json!([112, 126]));
    let first = &of_k["pad"][0];
    assert_eq!(first["factor_ci95"], json!([0.98 / 0.51, 1.02 / 0.49]));
    assert_eq!(first["memory_overhead_pct"], json!((104.0 / 100.0 - 1.0) * 100.0));
    assert_eq!((&of_rank["axis"], &of_rank["layout"]), (&json!("low-rank"), &json!("nt")));
    assert_eq!(of_rank["shape"], json!({"M": 16, "in_features": 4096, "out_features": 1024}));
    assert_eq!((&of_rank["pad"][0]["pad_to"], &of_rank["keep"]), (&json!(112), &json!([112])));
}

#[test]
fn a_contract_has_the_alignment_that_was_built_in() {
    let runs = Runs::new();
    let raw = runs.add("G3", &synthetic::g3(), |_| ());
    let contract = runs.json(&["G3"], "contract");
    let entries = contract["entries"].as_array().unwrap();
    let dims: Vec<usize> = raw.curves()[0].1.iter().map(|row| row.point().dim).collect();
    assert_eq!(entries.len(), 2);
    for (entry, dtype) in entries.iter().zip(["fp16", "bf16"]) {
        assert_eq!((&entry["axis"], &entry["dtype"]), (&json!("gemm-k"), &json!(dtype)));
        assert_eq!(entry["measured_dims"], json!([64, 160]));
        assert_eq!(
            (&entry["minimal_alignment"], &entry["preferred_alignment"]),
            (&json!(8), &json!(8))
        );
        let (aligned, cliffs): (Vec<usize>, Vec<usize>) =
            dims.iter().partition(|dim| *dim % 8 == 0);
        // 160 is the last, and what 154, 156 and 158 are padded to.
        assert_eq!(entry["recommended_values"], json!(aligned));
        assert_eq!(entry["cliff_values"], json!(cliffs));
        let of_107 = entry["cliffs"].as_array().unwrap().iter().find(|c| c["dim"] == 107).unwrap();
        assert_eq!(of_107["pad_to"], 112);
        let ratio = of_107["ratio"].as_f64().unwrap();
        assert!((ratio / (2.7 * 107.0 / 112.0) - 1.0).abs() < 0.02, "{of_107}");
        assert!(of_107["ratio_lower"].as_f64().unwrap() < ratio);
    }
    // At 16 nothing is known of what the last one costs.
    let few: Vec<Outcome> =
        synthetic::g3().into_iter().filter(|(case, _)| case.dim == 72).collect();
    runs.add("G3", &few, |_| ());
    let alone = runs.json(&["G3"], "contract")["entries"][0].clone();
    assert_eq!(
        (&alone["minimal_alignment"], &alone["recommended_values"]),
        (&Value::Null, &json!([]))
    );
}
