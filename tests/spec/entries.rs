//! Specs and entries as a whole: what is read and added, and what the specs of the repository hold.

use crate::{C21, D1, G3, G4, G5, HET1, L1, M1, P1, S1, S2, dims, experiment, parse};
use night_sweep::experiments::TYPES;
use night_sweep::measure::record::{Protocol, ProtocolKind};
use night_sweep::spec::Entry;
use night_sweep::workload::Precision;
use serde_json::json;

const PUBLISHED: &str = include_str!("../../experiments/night_sweep.yaml");
const CPU: &str = include_str!("../../experiments/night_sweep_cpu.yaml");

#[test]
fn an_entry_of_each_type_round_trips_through_its_json() {
    let entries = [S1, S2, C21, G3, G4, G5, P1, HET1, L1, M1, D1];
    assert_eq!(entries.len(), TYPES.len());
    for (keys, kind) in entries.into_iter().zip(TYPES) {
        let read = experiment(keys);
        assert_eq!(read.kind.name, kind.name);
        assert_eq!(read.to_json()["type"], kind.name);
        let again = json!({"experiments": {"X1_test": read.to_json()}}).to_string();
        assert_eq!(parse(&again).unwrap().experiment("X1_test").unwrap(), &read);
    }
}

#[test]
fn what_is_absent_is_taken_as_published() {
    let expected = json!({
        "type": "sdpa_dense", "dtype": "fp16",
        "shapes": [{"batch": 4, "seq_len": 2048, "n_heads": 32}], "head_dim_range": [64, 160],
        "head_dim_boundary": 128, "head_dim_step_1": 1, "head_dim_step_2": 2, "backend": "AUTO",
        "provider": "auto", "causal": false,
        "protocol": "standard", "warmup": 50, "measure": 200, "trials": 3,
    });
    let read = experiment(S1);
    assert_eq!(read.to_json(), expected);
    assert_eq!(dims(&read).len(), 81);
}

#[test]
fn every_key_is_read() {
    let read = experiment(&format!(
        "{S1}
         description: Why?
         dtype: bfloat16
         head_dim_boundary: 100
         head_dim_step_1: 4
         head_dim_step_2: 20
         backend: FLASH
         provider: night-sweep
         causal: true
         warmup: 0
         measure: 7
         trials: 1"
    ));
    assert_eq!(read.description.as_deref(), Some("Why?"));
    let protocol = Protocol { kind: ProtocolKind::Standard, warmup: 0, measure: 7, trials: 1 };
    assert_eq!(read.protocol, protocol);
    let keys = read.to_json();
    assert_eq!(
        json!([keys["backend"], keys["causal"], keys["provider"]]),
        json!(["FLASH", true, "night-sweep"])
    );
    assert!(read.cases().iter().all(|case| case.dtype == Precision::Bf16));
    assert_eq!(dims(&read), [64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 120, 140, 160]);
}

#[test]
fn the_two_specs_hold_the_same_experiments_but_those_of_tensor_cores() {
    let expected = [
        ("S1_sdpa_dense_sweep", "S1", "s1_sdpa_dense", [324, 162]),
        ("S1_sdpa_extended", "S1", "s1_sdpa_dense", [160, 80]),
        ("S2_sdpa_backend_forced", "S2", "s2_sdpa_backend_forced", [54, 36]),
        ("C21_backend_selection", "C21", "s2_sdpa_backend_forced", [50, 50]),
        ("G3_gemm_k_dense", "G3", "g3_gemm_k_dense", [162, 162]),
        ("G3_gemm_k_nt", "G3", "g3_gemm_k_dense", [162, 162]),
        ("G3_gemm_k_fp8", "G3", "g3_gemm_k_dense", [81, 0]),
        ("G3_gemm_k_tf32", "G3", "g3_gemm_k_dense", [162, 0]),
        ("G3_decode_M1", "G3", "g3_gemm_k_dense", [78, 10]),
        ("G3_decode_M8", "G3", "g3_gemm_k_dense", [78, 10]),
        ("G3_decode_M64", "G3", "g3_gemm_k_dense", [78, 10]),
        ("G4_gemm_n_dense_projectionlike", "G4", "g4_gemm_n_dense", [486, 486]),
        ("G4_gemm_n_nt", "G4", "g4_gemm_n_dense", [486, 486]),
        ("G4_decode_n", "G4", "g4_gemm_n_dense", [234, 30]),
        ("G5_gemm_m_dense", "G5", "g5_gemm_m_dense", [288, 432]),
        ("P1_padding_rescue", "P1", "p1_padding_rescue", [9, 9]),
        ("HET1_head_hetero_batching_penalty", "HET1", "het1_head_hetero", [4, 4]),
        ("L1_low_rank_pair", "L1", "l1_low_rank_pair", [180, 48]),
        ("L1_low_rank_pair_up", "L1", "l1_low_rank_pair", [144, 24]),
        ("M1_model_layers", "M1", "m1_model_layers", [610, 79]),
        ("D1_sdpa_decode", "D1", "d1_sdpa_decode", [402, 130]),
        ("D1_sdpa_decode_gqa", "D1", "d1_sdpa_decode", [402, 10]),
        ("D1_sdpa_decode_backends", "D1", "d1_sdpa_decode", [72, 42]),
    ];
    for (which, text) in [PUBLISHED, CPU].into_iter().enumerate() {
        let spec = parse(text).unwrap();
        let here = || expected.into_iter().filter(|(.., rows)| rows[which] > 0);
        for (found, (name, group, bench, rows)) in spec.experiments().zip(here()) {
            assert_eq!((&*found.name, &*found.group()), (name, group));
            assert_eq!((found.bench_target(), dims(found).len()), (bench, rows[which]), "{name}");
        }
        assert_eq!(spec.experiments().count(), here().count());
        assert!(spec.experiments().all(|experiment| experiment.description.is_some()));
    }
}

#[test]
fn an_entry_of_another_type_loads_but_cannot_be_chosen() {
    let others = "
  C23_hardware_layer: {type: hardware_analysis, tests: {l2_cache: {M: 2048}}, warmup: [30]}
";
    let spec = parse(&format!("{PUBLISHED}{others}")).unwrap();
    assert_eq!(
        spec.entries["C23_hardware_layer"],
        Entry::OtherType("hardware_analysis".to_owned())
    );
    let message = spec.experiment("C23_hardware_layer").unwrap_err().to_string();
    assert!(message.contains("hardware_analysis"), "{message}");
    assert!(message.contains("not run here"), "{message}");
}

#[test]
fn an_unknown_experiment_lists_those_there_are() {
    let message = parse(PUBLISHED).unwrap().experiment("G3_gemm_k_dens").unwrap_err().to_string();
    assert!(
        message.contains("S1_sdpa_dense_sweep, S1_sdpa_extended, S2_sdpa_backend_forced"),
        "{message}"
    );
    assert!(message.ends_with("did you mean \"G3_gemm_k_dense\"?"), "{message}");
}
