//! The cases that the bench files make of both specs: how many, under which ids, and of which
//! shapes.

#![allow(clippy::unwrap_used)] // in helpers of tests

use night_sweep::spec::Spec;
use night_sweep::workload::Precision;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation, Sdpa};
use night_sweep::workload::shape::GemmShape;
use proptest::prelude::*;
use regex::Regex;
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

fn spec(file: &str) -> Spec {
    Spec::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(file)).unwrap()
}

fn published(name: &str) -> Vec<Case> {
    spec("night_sweep.yaml").experiment(name).unwrap().cases()
}

fn find<'c>(cases: &'c [Case], id: &str) -> &'c Case {
    cases.iter().find(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"))
}

fn gemm_of(case: &Case) -> &Gemm {
    let Operation::Gemm(gemm) = &case.operation else { panic!("{case:?}") };
    gemm
}

fn sdpa_of(case: &Case) -> &Sdpa {
    let Operation::Sdpa(sdpa) = &case.operation else { panic!("{case:?}") };
    sdpa
}

#[test]
fn ids_are_unique_and_fit_criterions_folders() {
    ids_fit(&spec("night_sweep.yaml"));
    ids_fit(&spec("night_sweep_cpu.yaml"));
    let grouped = include_str!("../experiments/night_sweep.yaml")
        .replace("n_heads: 32}", "n_heads: 32, n_kv_heads: 8}");
    ids_fit(&Spec::parse(&grouped, Path::new("spec.yaml")).unwrap());
    let causal = ["head_dim", "shape", "logical"].iter().fold(grouped, |text, key| {
        let more = format!("    provider: night-sweep\n    causal: true\n    {key}");
        text.replace(&format!("    dtype: fp16\n    {key}"), &more)
    });
    assert_eq!(causal.matches("causal").count(), 5);
    ids_fit(&Spec::parse(&causal, Path::new("spec.yaml")).unwrap());
    let keys = "layout: nt\n    batch: 9999\n    provider: pytorch\n    gemm_algorithms: best";
    let plain = Regex::new(r"(?m)^    layout: nt.*\n").unwrap().replace_all(&causal, "");
    let stored = ["K_range", "N_range", "M_range"].iter().fold(plain.into_owned(), |text, key| {
        text.replace(&format!("    {key}"), &format!("    {keys}\n    {key}"))
    });
    let ranges = Regex::new(r"(?m)^    [KNM]_range").unwrap().find_iter(&causal).count();
    assert_eq!(stored.matches("batch: 9999").count(), ranges);
    ids_fit(&Spec::parse(&stored, Path::new("spec.yaml")).unwrap());
    let longest = Regex::new(r"seq_len: \d+, n_heads: 32, n_kv_heads: 8").unwrap();
    let sizes = "seq_len: 1, n_heads: 9999999, n_kv_heads: 3333333";
    let longest = longest.replace_all(&causal, sizes);
    ids_fit(&Spec::parse(&longest, Path::new("spec.yaml")).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A spec with another number somewhere is refused, or its ids fit too.
    #[test]
    fn ids_fit_whatever_the_sizes(
        which in any::<prop::sample::Index>(), exponent in 0..41u32, below in 0..9usize,
    ) {
        let text = include_str!("../experiments/night_sweep.yaml");
        let numbers: Vec<_> = Regex::new(r"\b\d+\b").unwrap().find_iter(text).collect();
        let old = which.get(&numbers);
        let new = (1usize << exponent).saturating_sub(below);
        let text = format!("{}{new}{}", &text[..old.start()], &text[old.end()..]);
        if let Ok(spec) = Spec::parse(&text, Path::new("spec.yaml")) {
            ids_fit(&spec);
        }
    }
}

fn ids_fit(spec: &Spec) {
    for experiment in spec.experiments() {
        let cases = experiment.cases();
        let rows = cases.iter().filter(|case| case.variant.is_none());
        let rows: HashSet<_> = rows.map(|case| &case.id).collect();
        let mut ids = HashSet::new();
        for case in &cases {
            assert!(ids.insert(&case.id), "{} stands twice", case.id);
            assert!(rows.contains(&case.row), "{} has no row", case.id);
            let parts: Vec<&str> = case.id.split('/').collect();
            assert_eq!((parts.len(), parts[0]), (3, experiment.group().as_str()), "{}", case.id);
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            for part in parts {
                assert!((1..=64).contains(&part.len()) && part.chars().all(plain), "{}", case.id);
            }
        }
    }
}

#[test]
fn ids_shapes_and_columns_as_published() {
    let s1 = published("S1_sdpa_dense_sweep");
    let case = find(&s1, "S1/b4_s2048_h32_fp16/d107");
    assert_eq!((case.curve.as_str(), case.dim), ("batch 4, seq 2048, 32 heads, AUTO", 107));
    let sdpa = sdpa_of(case);
    assert_eq!((sdpa.shape.n_heads, sdpa.shape.head_dim, sdpa.data_head_dim), (32, 107, 107));

    let alone = find(&s1, "S1/b4_s2048_h32_fp16_kernel_only/d107");
    assert_eq!((&alone.row, &alone.operation), (&case.id, &Operation::SdpaKernelOnly(*sdpa)));
    let aligned = find(&s1, "S1/b4_s2048_h32_fp16/d112");
    assert_eq!(s1.iter().filter(|case| case.row == aligned.id).count(), 1);

    let c21 = published("C21_backend_selection");
    let case = find(&c21, "C21/b1_s4096_h32_fp16_AUTO/d107");
    assert_eq!(json!(case.labels), json!({"head_dim": 107, "backend": "AUTO"}));
    assert_eq!(case.curve, "batch 1, seq 4096, 32 heads");

    let s2 = published("S2_sdpa_backend_forced");
    let case = find(&s2, "S2/b4_s2048_h32_fp16_MEM_EFFICIENT/d107");
    assert_eq!(json!(case.labels), json!({"head_dim": 107, "backend": "MEM_EFFICIENT"}));
    assert_eq!(case.curve, "MEM_EFFICIENT");

    let g3 = published("G3_gemm_k_dense");
    let case = find(&g3, "G3/M4096_N4096_bf16/K107");
    let gemm = gemm_of(case);
    assert_eq!(gemm.shape, GemmShape { m: 4096, n: 4096, k: 107 });

    let g4 = published("G4_gemm_n_dense_projectionlike");
    let case = find(&g4, "G4/M1024_K4096_fp16/N107");
    let gemm = gemm_of(case);
    assert_eq!(gemm.shape, GemmShape { m: 1024, n: 107, k: 4096 });
    assert_eq!(case.curve, "M=1024 fp16");
}

#[test]
fn padding_keeps_the_data_and_grows_the_tensors() {
    let p1 = published("P1_padding_rescue");
    let case = find(&p1, "P1/sdpa_b4_s2048_h32_fp16/d107_to_112");
    let sdpa = sdpa_of(case);
    assert_eq!((sdpa.shape.head_dim, sdpa.data_head_dim), (112, 107));
    assert_eq!(case.labels["operation"], "SDPA");
    assert!(!case.labels.contains_key("shape_type"));

    let copied = find(&p1, "P1/sdpa_b4_s2048_h32_fp16_on_the_fly/d107_to_112");
    assert_eq!((&copied.row, &copied.operation), (&case.id, &Operation::SdpaOnTheFly(*sdpa)));
    assert_eq!(copied.operation.flops(), case.operation.flops());
    // Q, K, V and O are copied: beside what the attention moves, each moves once with and once
    // without its padding.
    let dense = case.operation.bytes(Precision::Fp16) * 107.0 / 112.0;
    assert_eq!(
        copied.operation.bytes(Precision::Fp16),
        2.0 * case.operation.bytes(Precision::Fp16) + dense
    );
    let as_it_is = find(&p1, "P1/sdpa_b4_s2048_h32_fp16/d107_to_107");
    assert_eq!(p1.iter().filter(|case| case.row == as_it_is.id).count(), 1);

    let case = find(&p1, "P1/gemm_reduction_M4096_N4096_fp16/K107_to_112");
    let gemm = gemm_of(case);
    assert_eq!((gemm.shape.k, gemm.data.k), (112, 107));
    let copied = find(&p1, "P1/gemm_reduction_M4096_N4096_fp16_on_the_fly/K107_to_112");
    assert_eq!(copied.operation, Operation::GemmOnTheFly(*gemm));
    // A and B are copied, the result is not padded.
    let copies = 2.0 * (112.0 + 107.0) * (4096.0 + 4096.0);
    assert_eq!(
        copied.operation.bytes(Precision::Fp16),
        case.operation.bytes(Precision::Fp16) + copies
    );
    let case = find(&p1, "P1/gemm_projection_M4096_K4096_fp16/N107_to_128");
    let gemm = gemm_of(case);
    assert_eq!((gemm.shape.n, gemm.data.n, gemm.shape.k), (128, 107, 4096));
    assert_eq!(
        (&case.labels["shape_type"], &case.labels["logical_dim"], &case.labels["physical_dim"]),
        (&json!("projection"), &json!(107), &json!(128))
    );
    let overhead = case.labels["memory_overhead_pct"].as_f64().unwrap();
    assert!((overhead - 19.626).abs() < 0.001, "{overhead}");
}

#[test]
fn a_pattern_is_its_products_and_the_other_ways_to_compute_them() {
    let het1 = published("HET1_head_hetero_batching_penalty");
    let uniform = find(&het1, "HET1/T4096_H32_fp16/uniform");
    let gemm = gemm_of(uniform);
    assert_eq!(gemm.shape, GemmShape { m: 4096, n: 4096, k: 4096 });
    assert_eq!(het1.iter().filter(|case| case.row == uniform.id).count(), 1);

    let severe = find(&het1, "HET1/T4096_H32_fp16/severe");
    assert_eq!(json!(severe.labels), json!({"pattern": "severe", "num_gemm_calls": 4}));
    assert_eq!(severe.dim, (128 + 112 + 107 + 96) * 8);
    let Operation::GemmSequence(parts) = &severe.operation else { panic!("{severe:?}") };
    assert_eq!(parts.iter().map(|part| part.shape.n).collect::<Vec<_>>(), [1024, 896, 856, 768]);
    let part = find(&het1, "HET1/T4096_H32_fp16_part_107x8/severe");
    assert_eq!((&part.row, &part.operation), (&severe.id, &Operation::Gemm(parts[2])));
    let grouped = find(&het1, "HET1/T4096_H32_fp16_grouped/severe");
    assert_eq!(grouped.operation, Operation::GemmGrouped(parts.clone()));
    let concurrent = find(&het1, "HET1/T4096_H32_fp16_concurrent/severe");
    assert_eq!(concurrent.operation, Operation::GemmConcurrent(parts.clone()));
    assert_eq!(concurrent.operation.flops(), severe.operation.flops());
    assert_eq!(
        concurrent.operation.bytes(Precision::Fp16),
        severe.operation.bytes(Precision::Fp16)
    );
    let padded = find(&het1, "HET1/T4096_H32_fp16_padded/severe");
    let gemm = gemm_of(padded);
    assert_eq!((gemm.shape.n, gemm.data.n), (4096, severe.dim));
    assert_eq!(padded.operation.flops(), severe.operation.flops());
}
