//! CSV, as a program reads it.

use crate::synthetic::journal_of;
use crate::{Runs, d1, l1, m1, synthetic};
use night_sweep::results::raw::Row;
use std::collections::HashSet;
use std::fs;

#[test]
fn a_csv_has_a_row_for_each_point_and_variant() {
    let runs = Runs::new();
    let mut names = vec!["D1", "L1", "M1"];
    let mut raws = vec![
        runs.add("D1", &d1(), |_| ()),
        runs.add("L1", &l1(), |_| ()),
        runs.add("M1", &m1(), |_| ()),
    ];
    for (group, outcomes, _) in synthetic::all() {
        names.push(group);
        raws.push(runs.add(group, &outcomes, |_| ()));
    }
    let rows = runs.csv(&names);
    let mut expected = Vec::new();
    for raw in &raws {
        for row in &raw.measurements {
            let (id, value) = (row.point().case_id.clone(), serde_json::to_value(row).unwrap());
            expected.push((id.clone(), String::new(), value.clone()));
            let variants = row.variants().keys();
            expected.extend(
                variants.map(|name| (id.clone(), name.clone(), value["variants"][name].clone())),
            );
        }
    }
    assert_eq!(rows.len(), expected.len());
    for (row, (case_id, variant, value)) in rows.iter().zip(&expected) {
        assert_eq!((&row["case_id"], &row["variant"]), (case_id, variant));
        let number = |column: &str| row[column].parse::<f64>().ok();
        assert_eq!(number("p50_ms"), value["timing"]["p50"].as_f64(), "{row:?}");
        assert_eq!(number("p90_ms"), value["timing"]["p90"].as_f64());
        assert_eq!(number("tflops_mean"), value["derived"]["tflops_mean"].as_f64());
        assert_eq!(number("ci95_low_ms"), value["ci95_p50"][0].as_f64());
        assert_eq!(number("ci95_high_ms"), value["ci95_p50"][1].as_f64());
        assert_eq!(number("cycles_p50"), value["cycles_p50"].as_f64());
        assert_eq!(number("isolated_p50_ms"), value["isolated"]["p50"].as_f64());
        assert_eq!(number("cold_p50_ms"), value["cold"]["p50"].as_f64());
        assert_eq!(number("per_call_p50_ms"), value["per_call"]["p50"].as_f64());
        assert_eq!(row["error_kind"], value["error_kind"].as_str().unwrap_or_default());
        assert_eq!(row["provider"], value["provider"].as_str().unwrap_or_default());
    }
    let failures: HashSet<&str> = rows.iter().map(|row| &*row["error_kind"]).collect();
    assert_eq!(failures, HashSet::from(["", "cuda", "unsupported", "out_of_memory"]));

    let cells = |group: &str, dim: &str, columns: &str| -> Vec<String> {
        let row = rows.iter().find(|row| row["group"] == group && row["dim"] == dim).unwrap();
        columns.split(' ').map(|column| row[column].clone()).collect()
    };
    let of_gemm =
        cells("G3", "107", "run_id device_name dtype M N K layout batch head_dim backend");
    let gemm = ["20260101_000000_G3_sweep", "Synthetic GPU", "fp16", "4096", "4096", "107", "nn"];
    assert_eq!(of_gemm, [&gemm[..], &["1", "", ""]].concat());
    let of_attention = "backend backend_selected padded_to batch seq_len kv_len n_heads n_kv_heads \
                        head_dim causal M layout";
    let decode = ["AUTO", "FLASH", "112", "4", "1", "4096", "32", "8", "107", "false", "", ""];
    assert_eq!(cells("D1", "107", of_attention), decode);
    assert_eq!(cells("M1", "128", "seq_len kv_len causal"), ["512", "512", "true"]);
    assert_eq!(cells("M1", "107", "M N K layout"), ["512", "107", "4096", "nt"]);
    let pair = cells("L1", "107", "M in_features rank out_features layout");
    assert_eq!(pair, ["16", "4096", "107", "1024", "nt"]);
    assert_eq!(cells("P1", "112", "logical_dim"), ["107"]);
}

#[test]
fn a_csv_takes_several_devices_and_holds_no_formula() {
    let runs = Runs::new();
    runs.add("L1", &l1(), |raw| {
        let Row::Measured(row) = &mut raw.measurements[0] else { panic!("it has a time") };
        row.point.curve = "=cmd|' /C calc'!A0".to_owned();
        row.flags = vec!["power_capped".to_owned(), "unstable".to_owned()];
    });
    let (header, lines) = journal_of("G3", "G3_cpu", "cpu", &synthetic::g3()[..4]);
    let run = synthetic::run(header, &lines);
    let (raw, _) = synthetic::results(&run);
    // Its env.json is not asked for.
    fs::create_dir(runs.path("cpu")).unwrap();
    let file = runs.path("cpu").join("raw.json");
    fs::write(&file, serde_json::to_vec(&raw).unwrap()).unwrap();
    let rows = runs.csv(&["L1", "cpu/raw.json"]);
    assert_eq!(rows[0]["curve"], "'=cmd|' /C calc'!A0");
    assert_eq!(rows[0]["flags"], "power_capped;unstable");
    let devices: Vec<[&str; 2]> =
        rows.iter().map(|row| [&*row["device"], &*row["device_name"]]).collect();
    assert_eq!((devices[0], devices[4]), (["cuda:0", "Synthetic GPU"], ["cpu", "Synthetic CPU"]));
    assert_eq!(rows[4]["provider"], "cpu");
}
