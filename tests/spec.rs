//! Good specs load as the published suite means them; bad ones are told apart in words that help.

#![allow(clippy::unwrap_used)] // in helpers of tests

use night_sweep::experiments::TYPES;
use night_sweep::measure::record::{Protocol, ProtocolKind};
use night_sweep::spec::{Entry, Experiment, Spec, SpecError};
use night_sweep::workload::GemmLayout;
use night_sweep::workload::Precision;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::SdpaShape;
use serde_json::json;
use std::path::Path;

const PUBLISHED: &str = include_str!("../experiments/night_sweep.yaml");
const CPU: &str = include_str!("../experiments/night_sweep_cpu.yaml");

fn parse(text: &str) -> Result<Spec, SpecError> {
    Spec::parse(text, Path::new("spec.yaml"))
}

/// A spec of one entry `X1_test` whose keys, a line each, start on line 3 in column 5.
fn entry(keys: &str) -> String {
    let keys: String = keys.trim().lines().map(|line| format!("    {}\n", line.trim())).collect();
    format!("experiments:\n  X1_test:\n{keys}")
}

fn experiment(keys: &str) -> Experiment {
    parse(&entry(keys)).unwrap().experiment("X1_test").unwrap().clone()
}

fn dims(experiment: &Experiment) -> Vec<usize> {
    let cases = experiment.cases();
    cases.iter().filter(|case| case.variant.is_none()).map(|case| case.dim).collect()
}

const S1: &str = "type: sdpa_dense
    shapes: [{batch: 4, seq_len: 2048, n_heads: 32}]
    head_dim_range: [64, 160]";
const S2: &str = "type: sdpa_backend_forced
    shape: {batch: 4, seq_len: 2048, n_heads: 32}
    head_dims: [96, 107]
    backends: [AUTO, FLASH]";
const C21: &str = "type: sdpa_backend_selection
    shapes: [{batch: 4, seq_len: 2048, n_heads: 32},
      {batch: 1, seq_len: 4096, n_heads: 32, n_kv_heads: 8}]
    head_dims: [112, 107]";
const G3: &str = "type: gemm_k_dense
    dtypes: [fp16]
    shape: {M: 4096, N: 4096}
    K_range: [64, 160]";
const G4: &str = "type: gemm_n_dense
    dtypes: [fp16]
    M_values: [1024]
    K: 4096
    N_range: [64, 160]";
const G5: &str = "type: gemm_m_dense
    dtypes: [fp16]
    shape: {K: 4096, N: 4096}
    M_range: [1, 160]";
const P1: &str = "type: padding_rescue
    logical_head_dim: 107
    pad_options: [107, 112]
    sdpa_shape: {batch: 4, seq_len: 2048, n_heads: 32}
    gemm_shapes: [{M: 4096, N: 4096, K: 107}]";
const HET1: &str = "type: hetero_batching
    total_N: 4096
    H: 32
    patterns: {mild: {groups: [{dim: 128, count: 28}, {dim: 112, count: 4}]}}";
const L1: &str = "type: low_rank_pair
    dtypes: [fp16]
    in_features: 4096
    out_features: 14336
    M_values: [1, 16]
    rank_range: [505, 512]";

const M1: &str = "type: model_layers
    model: {name: small, n_layers: 2, hidden_size: 256, n_heads: 8, n_kv_heads: 4, head_dim: 32,
            intermediate_size: 704, vocab_size: 2000}
    ranks: {k_proj: [[29, 29], null], q_proj: [107, 111]}
    mlp_widths: [501, 704]
    decode: [16]";
const D1: &str = "type: sdpa_decode
    batch: 16
    n_heads: 32
    contexts: [4096, 1024]
    head_dims: [107, 112]";

#[test]
fn an_entry_of_each_type_round_trips_through_its_json() {
    for (keys, kind) in [S1, S2, C21, G3, G4, G5, P1, HET1, L1, M1, D1].into_iter().zip(TYPES) {
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
fn a_dense_sweep_takes_one_backend_or_several() {
    let backend = |value: &str| experiment(&format!("{S1}\nbackend: {value}"));
    assert_eq!(backend("AUTO"), experiment(S1));
    assert_eq!(backend("[AUTO]"), experiment(S1));
    let two = backend("[AUTO, NS_FASTEST]");
    assert_eq!(two.to_json()["backend"], json!(["AUTO", "NS_FASTEST"]));
    assert_eq!(dims(&two).len(), 2 * dims(&experiment(S1)).len());
    let of = |id: &str| two.cases().into_iter().find(|case| case.id == id).unwrap();
    for (series, curve) in [("", ", AUTO"), ("_NS_FASTEST", ", NS_FASTEST")] {
        let case = of(&format!("S1/b4_s2048_h32_fp16{series}/d107"));
        assert_eq!(case.curve, format!("batch 4, seq 2048, 32 heads{curve}"));
    }
    let kernels = two.cases().into_iter().filter(|case| case.variant.is_some());
    assert!(kernels.into_iter().all(|case| !case.id.contains("NS_FASTEST")));
    refused(with(S1, "backend: FLSH"), "6:14", "X1_test.backend: \"FLSH\" .. mean \"FLASH\"?");
    let says = "X1_test.backend[1]: \"FLASH_UNPADDED\" .. mean \"NS_FLASH_UNPADDED\"?";
    refused(with(S1, "backend: [AUTO, FLASH_UNPADDED]"), "6:21", says);
    refused(with(S1, "backend: [AUTO, AUTO]"), "6:21", "backend[1]: item 2 is the same as item 1");
    refused(with(S1, "backend: []"), "6:14", "the list is empty");
    refused(with(S1, "backend: 3"), "6:14", "expected a name or a list of names, found integer 3");
}

#[test]
fn only_published_names_and_gemms_have_another_provider() {
    let ids = |keys: &str, line: &str| -> Vec<String> {
        let cases = experiment(&format!("{keys}\n{line}")).cases();
        cases.into_iter().map(|case| case.id).collect()
    };
    let s1 = ids(S1, "provider: pytorch\nbackend: [AUTO, NS_FLASH]");
    assert_eq!((&*s1[0], s1.len()), ("S1/b4_s2048_h32_fp16_pytorch/d64", 2 * 81 + 68));
    assert!(s1.contains(&"S1/b4_s2048_h32_fp16_NS_FLASH/d64".to_owned()));
    let s2 = ids(S2, "provider: night-sweep\ncausal: true");
    assert_eq!(s2[1], "S2/b4_s2048_h32_fp16_FLASH_causal_night-sweep/d96");
    let p1 = ids(P1, "provider: pytorch");
    assert!(p1.iter().all(|id| id.contains("_fp16_pytorch")), "{p1:?}");
    let p1 = ids(P1, "provider: night-sweep");
    assert!(p1.iter().all(|id| id.contains("_fp16_night-sweep") != id.contains("gemm")), "{p1:?}");

    for (keys, id) in [
        (G3, "G3/M4096_N4096_fp16_pytorch/K107"),
        (G4, "G4/M1024_K4096_fp16_pytorch/N107"),
        (G5, "G5/K4096_N4096_fp16_pytorch/M107"),
    ] {
        let cases = |line: &str| experiment(&format!("{keys}\n{line}")).cases();
        let (alone, both) = (cases("provider: pytorch"), cases("provider: both"));
        let of = |cases: &[Case]| cases.iter().find(|case| case.id == id).unwrap().clone();
        assert_eq!(of(&alone).operation, of(&both).operation);
        assert_eq!((of(&alone).variant, of(&both).variant), (None, Some("pytorch".to_owned())));
        assert_eq!(cases("").len(), alone.len());
        assert_eq!(2 * alone.len(), both.len());
    }
    let het1 = ids(HET1, "provider: pytorch");
    assert_eq!(het1.len(), ids(HET1, "").len() - 1);
    assert!(het1.iter().all(|id| id.contains("_pytorch") && !id.contains("grouped")), "{het1:?}");
}

#[test]
fn gemms_are_stored_and_repeated_as_the_spec_says() {
    for (keys, id, legend) in [
        (G3, "G3/M4096_N4096_fp16/K107", "fp16"),
        (G4, "G4/M1024_K4096_fp16/N107", "M=1024 fp16"),
        (G5, "G5/K4096_N4096_fp16/M107", "fp16"),
    ] {
        let of = |lines: &str, suffix: &str| {
            let id = id.replace("fp16", &format!("fp16{suffix}"));
            let cases = experiment(&format!("{keys}\n{lines}")).cases();
            let case = cases.into_iter().find(|case| case.id == id);
            case.unwrap_or_else(|| panic!("no case {id}"))
        };
        let plain = of("", "");
        assert_eq!((&*plain.curve, plain.labels.len()), (legend, 0));
        assert_eq!(of("layout: nn\nbatch: 1", ""), plain, "published ids stay");
        for layout in GemmLayout::ALL.into_iter().filter(|layout| *layout != GemmLayout::Nn) {
            let name = layout.name();
            let case = of(&format!("layout: {name}"), &format!("_{name}"));
            assert_eq!(case.curve, format!("{legend} {name}"));
            assert_eq!(json!(case.labels), json!({"layout": name}));
            let [Operation::Gemm(gemm), Operation::Gemm(dense)] =
                [&case.operation, &plain.operation]
            else {
                panic!("another operation")
            };
            assert_eq!(*gemm, Gemm { layout, ..*dense });
        }
        let all = "layout: nt\nbatch: 128\nprovider: pytorch";
        let case = of(all, "_nt_b128_pytorch");
        assert_eq!(case.curve, format!("{legend} nt, batch 128"));
        assert_eq!(json!(case.labels), json!({"layout": "nt", "batch": 128}));
        let [gemm] = case.operation.gemms() else { panic!("one GEMM") };
        assert_eq!((gemm.layout, gemm.batch), (GemmLayout::Nt, 128));
        assert_eq!(case.operation.flops(), 128.0 * plain.operation.flops());

        let place = |column: usize| format!("{}:{column}", 3 + keys.lines().count());
        let says = "X1_test.layout: \"nc\" .. allowed are nn, nt, tn, tt";
        refused(with(keys, "layout: nc"), &place(13), says);
        let says = "X1_test.batch: expected an integer from 1 .. found integer 0";
        refused(with(keys, "batch: 0"), &place(12), says);
        let says = "a tensor of 1073741824 x .. is too large";
        refused(with(keys, "batch: 1073741824"), "3:5", says);
    }
}

#[test]
fn the_selection_of_backends_loads_as_published() {
    let read = experiment(&format!(
        "{C21}
         description: Verify
         backends: [AUTO, FLASH, MEM_EFFICIENT, MATH]
         detect_backend: true"
    ));
    assert_eq!(read.to_json()["backends"].as_array().unwrap().len(), 4);
    assert_eq!(dims(&read)[..3], [107, 112, 107]);
    let keys = experiment(C21).to_json();
    assert_eq!(keys["backends"], json!(["AUTO"]));
    assert_eq!((&keys["provider"], &keys["detect_backend"]), (&json!("auto"), &json!(true)));
}

#[test]
fn query_heads_share_kv_heads_where_the_spec_says_so() {
    let shared = |kv: &str| {
        let keys = S1.replace("n_heads: 32", &format!("n_heads: 32, n_kv_heads: {kv}"));
        let case = experiment(&keys).cases().remove(0);
        let Operation::Sdpa(sdpa) = case.operation else { panic!("another operation") };
        (sdpa.shape.n_kv_heads, case.id, case.curve)
    };
    let (heads, id, legend) = shared("8");
    assert_eq!(heads, Some(8));
    let expected = ("S1/b4_s2048_h32_kv8_fp16/d64", "batch 4, seq 2048, 32 heads on 8");
    assert_eq!((&*id, &*legend), expected);
    // As many as of queries is plain attention, and named so.
    let (heads, id, legend) = shared("32");
    assert_eq!(heads, None);
    assert_eq!((&*id, &*legend), ("S1/b4_s2048_h32_fp16/d64", "batch 4, seq 2048, 32 heads"));
}

#[test]
fn a_decode_step_has_one_query_and_a_cache_as_it_is_and_padded() {
    let cases = |more: &str| experiment(&format!("{D1}\n{more}")).cases();
    let plain = cases("");
    let ids: Vec<&str> = plain.iter().map(|case| &*case.id).collect();
    let expected = ["_c4096_h32_fp16/d107", "_c4096_h32_fp16_padded_cache/d107"];
    assert_eq!(ids[..2], expected.map(|id| format!("D1/b16{id}")));
    assert_eq!(ids.len(), 6, "what is aligned needs no padding: {ids:?}");
    let sdpa = |case: &Case| *case.operation.sdpa().unwrap();
    let of = |shape: SdpaShape| (shape.seq_len, shape.kv_len, shape.n_kv_heads, shape.head_dim);
    assert_eq!(of(sdpa(&plain[0]).shape), (1, Some(4096), None, 107));
    let padded = sdpa(&plain[1]);
    assert_eq!((padded.shape.head_dim, padded.data_head_dim), (112, 107));
    assert_eq!(plain[0].operation.flops(), plain[1].operation.flops());
    assert_eq!(plain[0].operation.flops(), 4.0 * 16.0 * 32.0 * 4096.0 * 107.0);
    let cache = 2.0 * 16.0 * 32.0 * 4096.0 * 107.0 * 2.0;
    assert_eq!(plain[0].operation.bytes(plain[0].dtype), cache + 2.0 * 16.0 * 32.0 * 107.0 * 2.0);
    assert_eq!((&*plain[0].curve, plain[0].dim), ("context 4096, batch 16, 32 heads", 107));
    assert_eq!(plain[0].labels["context"], 4096);

    let grouped = cases("n_kv_heads: 8\nbackend: [AUTO, NS_FLASH_DECODE]\nprovider: pytorch");
    assert_eq!(of(sdpa(&grouped[0]).shape), (1, Some(4096), Some(8), 107));
    assert_eq!(grouped[0].id, "D1/b16_c4096_h32_kv8_fp16_pytorch/d107");
    assert_eq!(grouped[3].id, "D1/b16_c4096_h32_kv8_fp16_NS_FLASH_DECODE/d107");
    assert_eq!(grouped[3].curve, "context 4096, batch 16, 32 heads on 8, NS_FLASH_DECODE");

    refused(with(D1, "n_kv_heads: 5"), "3:5", "X1_test.n_kv_heads: 5 does not divide n_heads, 32");
    refused(with(D1, "causal: true"), "8:5", "X1_test.causal: there is no such key");
    let but = D1.replace("4096, 1024", "4096, 1099511627775");
    refused(entry(&but), "3:5", "X1_test.contexts: a tensor of 16 x 32 x .. is too large");
    let but = D1.replace("batch: 16", "batch: 1000000000");
    refused(entry(&but.replace("4096, ", "")), "3:5", "is too large");
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

/// The message is a single line that starts with the place and contains every part, between `..`.
#[track_caller]
fn refused(text: impl AsRef<str>, place: &str, parts: &str) {
    let text = text.as_ref();
    let message = parse(text).expect_err(text).to_string();
    let is_there = message.starts_with(&format!("spec.yaml:{place}: "));
    assert!(is_there && !message.contains('\n'), "{message}\nnot at {place} of\n{text}");
    for part in parts.split(" .. ") {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

fn with(keys: &str, line: &str) -> String {
    entry(&format!("{keys}\n{line}"))
}

fn but(keys: &str, from: &str, to: &str) -> String {
    entry(&keys.replace(from, to))
}

#[test]
fn the_protocol_and_the_algorithms_are_chosen_by_name() {
    let adaptive = experiment(&format!("{S1}\nprotocol: adaptive"));
    assert_eq!(adaptive.protocol.kind, ProtocolKind::Adaptive);
    let gate = experiment(&format!("{S1}\nprotocol: gate"));
    assert_eq!(gate.protocol.kind, ProtocolKind::Gate);
    refused(with(S1, "protocol: seed"), "6:15", "X1_test.protocol .. standard .. adaptive");
    let g3 = "type: gemm_k_dense\ndtypes: [fp16]\nshape: {M: 16, N: 16}\nK_range: [8, 16]";
    let best = experiment(&format!("{g3}\ngemm_algorithms: best")).cases();
    assert!(best.iter().any(|case| case.variant.as_deref() == Some("best_algorithm")));
    refused(with(g3, "gemm_algorithms: all"), "7:22", "X1_test.gemm_algorithms .. chosen .. best");
}

#[test]
fn gemms_have_more_dtypes_than_attention() {
    let g3 = |keys: &str| {
        let shape = "shape: {M: 16, N: 32}";
        format!("type: gemm_k_dense\n{keys}\n{shape}\nK_range: [15, 17]")
    };
    let cases = |keys: &str| experiment(&g3(keys)).cases();
    let all = cases("dtypes: [fp16, bf16, tf32, fp32]");
    let ids: Vec<&str> = all.iter().step_by(3).map(|case| case.id.as_str()).collect();
    let series = ["fp16", "bf16", "tf32", "fp32"].map(|name| format!("G3/M16_N32_{name}/K15"));
    assert_eq!(ids, series);
    assert_eq!(all[6].dtype, Precision::Tf32);

    // K of 15 and 17 are padded in the launch, 16 is not.
    let fp8 = cases("dtypes: [fp8_e4m3]\nlayout: nt");
    let ids: Vec<&str> = fp8.iter().map(|case| case.id.as_str()).collect();
    let id = |variant: &str, k| format!("G3/M16_N32_fp8_e4m3_nt{variant}/K{k}");
    let padded = "_on_the_fly";
    assert_eq!(ids, [id("", 15), id(padded, 15), id("", 16), id("", 17), id(padded, 17)]);
    let Operation::GemmOnTheFly(gemm) = fp8[4].operation else { panic!("{:?}", fp8[4]) };
    let (shape, data) = (gemm.shape, gemm.data);
    assert_eq!([shape.m, shape.n, shape.k, data.n, data.k], [16, 32, 32, 32, 17]);
    let batched = cases("dtypes: [fp8_e4m3]\nlayout: nt\nbatch: 4");
    assert!(batched.iter().all(|case| case.variant.is_none()), "nothing pads a batch");

    for layout in ["nn", "tn", "tt"] {
        let keys = format!("dtypes: [fp16, fp8_e4m3]\nlayout: {layout}");
        let says = format!("dtypes .. fp8_e4m3 needs `layout: nt`, and the layout is {layout}");
        refused(with(&g3(&keys), "trials: 1"), "3:5", &says);
    }
    let refused_by = |keys: &str, dtypes: &str, at: &str, says: &str| {
        refused(with(&keys.replace("[fp16]", dtypes), "trials: 1"), at, says);
    };
    refused_by(&g3("dtypes: [fp16]"), "[fp64]", "4:14", "dtypes[0]: \"fp64\" .. fp8_e4m3");
    refused(with(S1, "dtype: tf32"), "6:12", "X1_test.dtype: \"tf32\" .. allowed are .. bf16");
    refused(with(P1, "dtype: fp8_e4m3"), "8:12", "X1_test.dtype .. allowed are .. bf16");
    refused(with(HET1, "dtype: fp8_e4m3"), "3:5", "dtype .. fp8_e4m3 needs `layout: nt`");
    let grouped = experiment(&format!("{HET1}\ndtype: tf32")).cases();
    assert!(grouped.iter().all(|case| case.dtype == Precision::Tf32));
}

#[test]
fn misspelt_names() {
    refused(
        but(S1, "head_dim_range", "head_dim_rang"),
        "5:5",
        "X1_test.head_dim_rang: there is no such key .. did you mean \"head_dim_range\"?",
    );
    refused(
        but(S1, "head_dim_range", "head_dim_rang"),
        "5:5",
        "allowed are dtype, shapes, .. description, protocol, warmup, measure, trials",
    );
    refused(with(S1, "trails: 3"), "6:5", "X1_test.trails .. did you mean \"trials\"?");
    refused(with(S1, "l2: cold"), "6:5", "X1_test.l2: there is no such key");
    refused(
        but(S1, "seq_len", "seqlen"),
        "4:25",
        "X1_test.shapes[0].seqlen .. batch, seq_len, n_heads .. did you mean \"seq_len\"?",
    );
    refused(
        but(S2, "FLASH", "FLSH"),
        "6:22",
        "X1_test.backends[1]: \"FLSH\" is not known .. MEM_EFFICIENT .. did you mean \"FLASH\"?",
    );
    refused(
        with(S1, "dtype: fp32"),
        "6:12",
        "X1_test.dtype: \"fp32\" .. allowed are float16, fp16",
    );
    refused(
        but(G3, "gemm_k_dense", "gemm_k_dens"),
        "3:5",
        "experiments.X1_test: \"gemm_k_dens\" .. did you mean \"gemm_k_dense\"?",
    );
    refused(
        "experimnets: {}",
        "1:1",
        "experimnets: there is no such key .. did you mean \"experiments\"?",
    );
}

#[test]
fn values_of_another_kind() {
    refused(
        with(S1, "warmup: many"),
        "6:13",
        "X1_test.warmup: expected an integer from 0 to 1000000, found string \"many\"",
    );
    refused(but(S1, "2048", "2048.5"), "4:34", "shapes[0].seq_len: expected an integer .. 2048.5");
    refused(but(S1, "2048", "null"), "4:34", "expected an integer .. found nothing");
    refused(but(S1, "[64, 160]", "64"), "5:21", "head_dim_range: expected a range [lo, hi]");
    refused(but(S1, "[64, 160]", "[64]"), "5:21", "head_dim_range .. range [lo, hi]");
    refused(but(S1, "[64, 160]", "[64, 128, 160]"), "5:21", "head_dim_range .. 3");
    refused(but(G3, "{M: 4096, N: 4096}", "[4096]"), "5:12", "shape: expected a map {M, N}");
    refused(with(S1, "causal: 3"), "6:13", "causal: expected a boolean, found integer 3");
    refused(with(S1, "dtype: {a: 1}"), "6:12", "dtype: expected a single word, found a map");
    refused("experiments: [1]", "1:14", "experiments: expected a map .. found a list");
    refused("- experiments", "1:1", "expected a map {experiments .. found a list");
    refused(
        "experiments: {X1_test: 5}",
        "1:24",
        "experiments.X1_test: expected a map .. found integer 5",
    );
}

#[test]
fn sizes_out_of_range() {
    refused(
        but(S1, "batch: 4", "batch: 0"),
        "4:22",
        "shapes[0].batch .. from 1 to .. found integer 0",
    );
    refused(but(S1, "batch: 4", "batch: -4"), "4:22", "shapes[0].batch .. found integer -4");
    refused(
        but(S1, "batch: 4", "batch: 99999999999999999999999"),
        "4:22",
        "shapes[0].batch: expected a number of at most 64 bits",
    );
    refused(with(S1, "trials: 0"), "6:13", "trials: expected an integer from 1 to 1000");
    refused(with(S1, "measure: 0"), "6:14", "measure: expected an integer from 1");
    refused(
        but(S1, "[64, 160]", "[160, 64]"),
        "5:21",
        "head_dim_range: the range [160, 64] is empty",
    );
    refused(but(S2, "[96, 107]", "[]"), "5:16", "head_dims: the list is empty");
    refused(but(S2, "[96, 107]", "[96, 107, 96]"), "5:26", "item 3 is the same as item 1");
    refused(
        but(S1, "2048", "400000000"),
        "3:5",
        "X1_test.shapes: a tensor of 4 x 32 x 400000000 x 160 .. 2^40",
    );
    refused(
        but(G3, "{M: 4096, N: 4096}", "{M: 1000000000000, N: 1000000000000}"),
        "3:5",
        "X1_test.shape: a tensor of 1000000000000 x .. too large",
    );
    refused(but(G4, "4096", "1099511627775"), "3:5", "X1_test.M_values .. too large");
    refused(
        but(S1, "160", "400000000"),
        "3:5",
        "head_dim_range: this makes more than 100000 cases",
    );
    let wide = G4.replace("[1024]", "[1, 2]");
    refused(but(&wide, "160", "200000"), "3:5", "N_range: this makes more than 100000 cases");
}

#[test]
fn one_of_a_range_and_a_list() {
    assert_eq!(dims(&experiment(&G3.replace("[64, 160]", "[5637, 5637]"))), [5637]);
    let listed = &G3.replace("K_range: [64, 160]", "K_values: [4872, 128, 5637]");
    assert_eq!(dims(&experiment(listed)), [4872, 128, 5637]);
    let ids: Vec<String> = experiment(listed).cases().into_iter().map(|case| case.id).collect();
    assert_eq!(ids[2], "G3/M4096_N4096_fp16/K5637");
    refused(but(listed, "5637", "128"), "6:27", "K_values[2]: item 3 is the same as item 2");
    refused(but(listed, "[4872, 128, 5637]", "[]"), "6:15", "K_values: the list is empty");
    let neither = G3.replace("K_range: [64, 160]", "");
    refused(
        entry(&neither),
        "3:5",
        "X1_test: the key \"K_range\" is missing; \"K_values\", a list, may",
    );
    refused(with(G3, "K_values: [8]"), "3:5", "X1_test.K_values: K_range is given too: give one");
    refused(with(listed, "K_step_2: 2"), "3:5", "X1_test.K_step_2: it is for K_range: K_values");
    let merged = format!("{G3}\nK_range: null\nK_values: [8]").replace("K_range: [64, 160]\n", "");
    assert_eq!(dims(&experiment(&merged)), [8]);
    refused(with(G3, "K_vales: [8]"), "7:5", "X1_test.K_vales: .. did you mean \"K_values\"?");
}

#[test]
fn values_that_contradict_each_other() {
    refused(
        but(HET1, "count: 4", "count: 5"),
        "3:5",
        "X1_test.patterns.mild: its counts sum to 33 .. have to sum to H, 32",
    );
    refused(but(HET1, "dim: 112", "dim: 128"), "3:5", "patterns.mild: two groups have dim 128");
    refused(but(HET1, "mild", "a/b"), "3:5", "patterns.a/b .. letters, digits");
    refused(but(HET1, "dim: 112", "dim: 1099511627775"), "3:5", "patterns.mild .. too large");
    let none = "type: hetero_batching\ntotal_N: 64\nH: 1\npatterns: {}";
    refused(entry(none), "3:5", "patterns: there is none");
    refused(
        but(P1, "K: 107", "K: 106"),
        "3:5",
        "gemm_shapes: {M: 4096, N: 4096, K: 106} .. K or N has to be logical_head_dim, 107",
    );
    refused(but(P1, "[107, 112]", "[96]"), "3:5", "pad_options: 96 is below logical_head_dim, 107");
}

#[test]
fn heads_and_providers_that_cannot_be() {
    for (keys, key) in [(S1, "shapes"), (S2, "shape"), (C21, "shapes"), (P1, "sdpa_shape")] {
        let uneven = keys.replacen("n_heads: 32", "n_heads: 32, n_kv_heads: 5", 1);
        let says = format!("X1_test.{key}: n_kv_heads 5 does not divide n_heads, 32");
        refused(entry(&uneven), "3:5", &says);
        let place = &format!("{}:15", 3 + keys.lines().count());
        let says = "X1_test.provider: \"torch\" is not known .. auto, pytorch, night-sweep";
        refused(with(keys, "provider: torch"), place, says);
    }
    refused(
        but(S1, "n_heads: 32", "n_heads: 32, n_kv_heads: 0"),
        "4:65",
        "n_kv_heads: expected an integer from 1 .. found integer 0",
    );
    refused(
        but(C21, "[112, 107]", "[112, 112]"),
        "6:22",
        "head_dims[1]: item 2 is the same as item 1",
    );
    refused(with(C21, "detect_backend: maybe"), "7:21", "detect_backend: expected a boolean");
    for keys in [G3, G4, G5, HET1] {
        let place = &format!("{}:15", 3 + keys.lines().count());
        let says = "provider: Night Sweep has no GEMM of its own; allowed are auto, pytorch";
        refused(with(keys, "provider: night-sweep"), place, says);
        let says = "provider: \"torch\" is not known; allowed are auto, pytorch";
        refused(with(keys, "provider: torch"), place, says);
        refused(with(keys, "provider: [auto]"), place, "expected a single word, found a list");
    }
    refused(with(HET1, "provider: both"), "7:15", "provider: \"both\" is not known");
    refused(with(S1, "auto: torch"), "6:5", "X1_test.auto: there is no such key");
}

#[test]
fn what_is_missing_or_stands_twice() {
    let without_shapes = "type: sdpa_dense\nhead_dim_range: [64, 160]";
    refused(entry(without_shapes), "3:5", "experiments.X1_test: the key \"shapes\" is missing");
    refused(entry("warmup: 3"), "3:5", "experiments.X1_test: the key \"type\" is missing");
    refused(with(S1, "warmup: 3\nwarmup: 4"), "7:5", "X1_test: the key \"warmup\" stands twice");
    refused(entry(S1) + "  X1_test: 3\n", "6:3", "experiments: the key \"X1_test\" stands twice");
    refused("", "1:1", "the key \"experiments\" is missing");
    refused("# nothing yet\n", "2:1", "the key \"experiments\" is missing");
    refused("experiments:\n", "1:13", "experiments: there is no experiment");
    refused("{}", "1:1", "the key \"experiments\" is missing");
}

#[test]
fn text_that_is_no_yaml() {
    refused("experiments: {X1: {type: sdpa_dense", "2:1", "not valid YAML");
    refused("experiments:\n\tX1: 3", "2:1", "not valid YAML");
    refused("experiments: *nowhere", "1:14", "not valid YAML: unknown anchor");
    let deep = format!("experiments: {}", "[".repeat(500));
    refused(deep, "1:141", "not valid YAML: recursion limit exceeded");
}

#[test]
fn names_that_are_no_folder() {
    let named = |name: &str| entry(S1).replace("X1_test", name);
    refused(named("../../etc"), "3:5", "experiments.../../etc: the name .. letters, digits");
    refused(named("1S"), "3:5", "a letter first");
    let dotted = parse(&named("S.1-x_test")).unwrap();
    assert_eq!(dotted.experiment("S.1-x_test").unwrap().group(), "S1");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Spec::load(&folder.path().join("none.yaml")).unwrap_err();
    assert!(matches!(missing, SpecError::Unreadable { .. }), "{missing}");
    assert!(missing.to_string().contains("none.yaml: cannot be read"), "{missing}");
    let latin1 = folder.path().join("latin1.yaml");
    std::fs::write(&latin1, b"experiments:\n  # caf\xe9\n").unwrap();
    let message = Spec::load(&latin1).unwrap_err().to_string();
    assert!(message.ends_with("latin1.yaml:2:8: not UTF-8 text"), "{message}");
}
