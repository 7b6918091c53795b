//! Good specs load as the published suite means them; bad ones are told apart in words that help.

#![allow(clippy::unwrap_used)] // in helpers of tests

use night_sweep::experiments::TYPES;
use night_sweep::measure::record::{Protocol, ProtocolKind};
use night_sweep::spec::{Entry, Experiment, Spec, SpecError};
use night_sweep::workload::operation::Operation;
use night_sweep::workload::shape::DType;
use proptest::prelude::*;
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

/// The swept dimension of each row, in its order.
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
    shapes: [{batch: 4, seq_len: 2048, n_heads: 32}, {batch: 1, seq_len: 4096, n_heads: 32, n_kv_heads: 8}]
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

#[test]
fn an_entry_of_each_type_round_trips_through_its_json() {
    for (keys, kind) in [S1, S2, C21, G3, G4, G5, P1, HET1].into_iter().zip(TYPES) {
        let read = experiment(keys);
        assert_eq!(read.type_name(), kind.name);
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
        "auto": "torch", "causal": false,
        "protocol": "standard", "warmup": 50, "measure": 200, "trials": 3,
    });
    let read = experiment(S1);
    assert_eq!(read.to_json(), expected);
    assert_eq!(
        read.protocol,
        Protocol { kind: ProtocolKind::Standard, warmup: 50, measure: 200, trials: 3 }
    );
    assert_eq!(dims(&read).len(), 81);
}

#[test]
fn every_key_is_read() {
    let keys = format!(
        "{S1}\ndescription: Why?\ndtype: bfloat16\nhead_dim_boundary: 100\nhead_dim_step_1: 4\nhead_dim_step_2: 20
         backend: FLASH\nauto: fastest\ncausal: true\nwarmup: 0\nmeasure: 7\ntrials: 1"
    );
    let read = experiment(&keys);
    assert_eq!(read.description.as_deref(), Some("Why?"));
    assert_eq!(
        read.protocol,
        Protocol { kind: ProtocolKind::Standard, warmup: 0, measure: 7, trials: 1 }
    );
    let keys = read.to_json();
    assert_eq!(
        (&keys["backend"], &keys["causal"], &keys["auto"]),
        (&json!("FLASH"), &json!(true), &json!("fastest"))
    );
    assert!(read.cases().iter().all(|case| case.dtype == DType::Bf16));
    assert_eq!(dims(&read), [64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 120, 140, 160]);
}

#[test]
fn the_selection_of_backends_loads_as_published() {
    let published = format!(
        "{C21}\ndescription: Verify\nbackends: [AUTO, FLASH, MEM_EFFICIENT, MATH]\ndetect_backend: true"
    );
    let read = experiment(&published);
    assert_eq!(read.to_json()["backends"].as_array().unwrap().len(), 4);
    assert_eq!(dims(&read)[..3], [107, 112, 107]);
    let keys = experiment(C21).to_json();
    assert_eq!(keys["backends"], json!(["AUTO"]));
    assert_eq!((&keys["auto"], &keys["detect_backend"]), (&json!("torch"), &json!(true)));
}

#[test]
fn query_heads_share_kv_heads_where_the_spec_says_so() {
    let shared = |kv: &str| {
        let keys = S1.replace("n_heads: 32", &format!("n_heads: 32, n_kv_heads: {kv}"));
        let case = experiment(&keys).cases().remove(0);
        let Operation::Sdpa(sdpa) = case.operation else { panic!("another operation") };
        (sdpa.shape.n_kv_heads, case.id, case.curve)
    };
    let text = |id: &str, legend: &str| (id.to_owned(), legend.to_owned());
    let (heads, id, legend) = shared("8");
    assert_eq!(heads, Some(8));
    assert_eq!(
        (id, legend),
        text("S1/b4_s2048_h32_kv8_fp16/d64", "batch 4, seq 2048, 32 heads on 8")
    );
    // As many as of queries is plain attention, and named so.
    let (heads, id, legend) = shared("32");
    assert_eq!(heads, None);
    assert_eq!((id, legend), text("S1/b4_s2048_h32_fp16/d64", "batch 4, seq 2048, 32 heads"));
}

#[test]
fn the_two_specs_hold_the_same_experiments() {
    let expected = [
        ("S1_sdpa_dense_sweep", "S1", "s1_sdpa_dense"),
        ("S1_sdpa_extended", "S1", "s1_sdpa_dense"),
        ("S2_sdpa_backend_forced", "S2", "s2_sdpa_backend_forced"),
        ("C21_backend_selection", "C21", "s2_sdpa_backend_forced"),
        ("G3_gemm_k_dense", "G3", "g3_gemm_k_dense"),
        ("G4_gemm_n_dense_projectionlike", "G4", "g4_gemm_n_dense"),
        ("G5_gemm_m_dense", "G5", "g5_gemm_m_dense"),
        ("P1_padding_rescue", "P1", "p1_padding_rescue"),
        ("HET1_head_hetero_batching_penalty", "HET1", "het1_head_hetero"),
    ];
    for text in [PUBLISHED, CPU] {
        let spec = parse(text).unwrap();
        let found: Vec<_> =
            spec.experiments().map(|e| (e.name.as_str(), e.group(), e.bench_target())).collect();
        assert_eq!(found, expected.map(|(name, group, bench)| (name, group.to_owned(), bench)));
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

/// Each message is a single line that starts with the place and contains every part given.
#[track_caller]
fn refused(text: &str, place: &str, parts: &[&str]) {
    let message = parse(text).expect_err(text).to_string();
    assert!(
        message.starts_with(&format!("spec.yaml:{place}: ")),
        "{message}\nnot at {place} of\n{text}"
    );
    assert!(!message.contains('\n'), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

#[test]
fn the_protocol_and_the_algorithms_are_chosen_by_name() {
    let adaptive = experiment(&format!("{S1}\nprotocol: adaptive"));
    assert_eq!(adaptive.protocol.kind, ProtocolKind::Adaptive);
    refused(
        &entry(&format!("{S1}\nprotocol: seed")),
        "6:15",
        &["X1_test.protocol", "standard", "adaptive"],
    );
    let g3 = "type: gemm_k_dense\ndtypes: [fp16]\nshape: {M: 16, N: 16}\nK_range: [8, 16]";
    let best = experiment(&format!("{g3}\ngemm_algorithms: best")).cases();
    assert!(best.iter().any(|case| case.variant.as_deref() == Some("best_algorithm")));
    refused(
        &entry(&format!("{g3}\ngemm_algorithms: all")),
        "7:22",
        &["X1_test.gemm_algorithms", "chosen", "best"],
    );
}

#[test]
fn misspelt_names() {
    let misspelt = entry(&S1.replace("head_dim_range", "head_dim_rang"));
    let parts = [
        "experiments.X1_test.head_dim_rang: there is no such key",
        "did you mean \"head_dim_range\"?",
    ];
    refused(&misspelt, "5:5", &parts);
    refused(
        &misspelt,
        "5:5",
        &["allowed are dtype, shapes,", "description, protocol, warmup, measure, trials"],
    );
    refused(
        &entry(&format!("{S1}\ntrails: 3")),
        "6:5",
        &["X1_test.trails", "did you mean \"trials\"?"],
    );
    refused(&entry(&format!("{S1}\nl2: cold")), "6:5", &["X1_test.l2: there is no such key"]);
    let nested = entry(&S1.replace("seq_len", "seqlen"));
    refused(
        &nested,
        "4:25",
        &["X1_test.shapes[0].seqlen", "batch, seq_len, n_heads", "did you mean \"seq_len\"?"],
    );
    let parts =
        ["X1_test.backends[1]: \"FLSH\" is not known", "MEM_EFFICIENT", "did you mean \"FLASH\"?"];
    refused(&entry(&S2.replace("FLASH", "FLSH")), "6:22", &parts);
    refused(
        &entry(&format!("{S1}\ndtype: fp32")),
        "6:12",
        &["X1_test.dtype: \"fp32\"", "allowed are float16, fp16"],
    );
    let parts = ["experiments.X1_test: \"gemm_k_dens\"", "did you mean \"gemm_k_dense\"?"];
    refused(&entry(&G3.replace("gemm_k_dense", "gemm_k_dens")), "3:5", &parts);
    refused(
        "experimnets: {}",
        "1:1",
        &["experimnets: there is no such key", "did you mean \"experiments\"?"],
    );
}

#[test]
fn values_of_another_kind() {
    let parts = ["X1_test.warmup: expected an integer from 0 to 1000000, found string \"many\""];
    refused(&entry(&format!("{S1}\nwarmup: many")), "6:13", &parts);
    refused(
        &entry(&S1.replace("2048", "2048.5")),
        "4:34",
        &["shapes[0].seq_len: expected an integer", "2048.5"],
    );
    refused(&entry(&S1.replace("2048", "null")), "4:34", &["expected an integer", "found nothing"]);
    refused(
        &entry(&S1.replace("[64, 160]", "64")),
        "5:21",
        &["head_dim_range: expected a range [lo, hi]"],
    );
    refused(
        &entry(&S1.replace("[64, 160]", "[64]")),
        "5:21",
        &["head_dim_range", "range [lo, hi]"],
    );
    refused(&entry(&S1.replace("[64, 160]", "[64, 128, 160]")), "5:21", &["head_dim_range", "3"]);
    refused(
        &entry(&G3.replace("{M: 4096, N: 4096}", "[4096]")),
        "5:12",
        &["shape: expected a map {M, N}"],
    );
    refused(
        &entry(&format!("{S1}\ncausal: 3")),
        "6:13",
        &["causal: expected a boolean, found integer 3"],
    );
    refused(
        &entry(&format!("{S1}\ndtype: {{a: 1}}")),
        "6:12",
        &["dtype: expected a single word, found a map"],
    );
    refused("experiments: [1]", "1:14", &["experiments: expected a map", "found a list"]);
    refused("- experiments", "1:1", &["expected a map {experiments", "found a list"]);
    refused(
        "experiments: {X1_test: 5}",
        "1:24",
        &["experiments.X1_test: expected a map", "found integer 5"],
    );
}

#[test]
fn sizes_out_of_range() {
    refused(
        &entry(&S1.replace("batch: 4", "batch: 0")),
        "4:22",
        &["shapes[0].batch", "from 1 to", "found integer 0"],
    );
    refused(
        &entry(&S1.replace("batch: 4", "batch: -4")),
        "4:22",
        &["shapes[0].batch", "found integer -4"],
    );
    let beyond_u64 = S1.replace("batch: 4", "batch: 99999999999999999999999");
    refused(
        &entry(&beyond_u64),
        "4:22",
        &["shapes[0].batch: expected a number of at most 64 bits"],
    );
    refused(
        &entry(&format!("{S1}\ntrials: 0")),
        "6:13",
        &["trials: expected an integer from 1 to 1000"],
    );
    refused(&entry(&format!("{S1}\nmeasure: 0")), "6:14", &["measure: expected an integer from 1"]);
    refused(
        &entry(&S1.replace("[64, 160]", "[160, 64]")),
        "5:21",
        &["head_dim_range: the range [160, 64] is empty"],
    );
    refused(
        &entry(&S1.replace("[64, 160]", "[129, 129]")),
        "3:5",
        &["X1_test.head_dim_range: the steps leave no"],
    );
    refused(&entry(&S2.replace("[96, 107]", "[]")), "5:16", &["head_dims: the list is empty"]);
    refused(
        &entry(&S2.replace("[96, 107]", "[96, 107, 96]")),
        "5:16",
        &["item 3 is the same as item 1"],
    );
    let huge = S1.replace("2048", "400000000");
    refused(
        &entry(&huge),
        "3:5",
        &["X1_test.shapes: a tensor of 4 x 32 x 400000000 x 160", "2^40"],
    );
    let overflowing = G3.replace("{M: 4096, N: 4096}", "{M: 1000000000000, N: 1000000000000}");
    refused(
        &entry(&overflowing),
        "3:5",
        &["X1_test.shape: a tensor of 1000000000000 x", "too large"],
    );
    refused(
        &entry(&G4.replace("4096", "1099511627775")),
        "3:5",
        &["X1_test.M_values", "too large"],
    );
    refused(
        &entry(&S1.replace("160", "400000000")),
        "3:5",
        &["head_dim_range: this makes more than 100000 cases"],
    );
    let parts = ["N_range: this makes more than 100000 cases"];
    refused(&entry(&G4.replace("160", "200000").replace("[1024]", "[1, 2]")), "3:5", &parts);
}

#[test]
fn values_that_contradict_each_other() {
    let counts = HET1.replace("count: 4", "count: 5");
    refused(
        &entry(&counts),
        "3:5",
        &["X1_test.patterns.mild: its counts sum to 33", "have to sum to H, 32"],
    );
    refused(
        &entry(&HET1.replace("dim: 112", "dim: 128")),
        "3:5",
        &["patterns.mild: two groups have dim 128"],
    );
    refused(&entry(&HET1.replace("mild", "a/b")), "3:5", &["patterns.a/b", "letters, digits"]);
    let wide = HET1.replace("dim: 112", "dim: 1099511627775");
    refused(&entry(&wide), "3:5", &["patterns.mild", "too large"]);
    let none = "type: hetero_batching\ntotal_N: 64\nH: 1\npatterns: {}";
    refused(&entry(none), "3:5", &["patterns: there is none"]);
    let parts = [
        "X1_test.gemm_shapes: {M: 4096, N: 4096, K: 106}",
        "K or N has to be logical_head_dim, 107",
    ];
    refused(&entry(&P1.replace("K: 107", "K: 106")), "3:5", &parts);
    refused(
        &entry(&P1.replace("[107, 112]", "[96]")),
        "3:5",
        &["pad_options: 96 is below logical_head_dim, 107"],
    );
}

#[test]
fn heads_and_policies_that_cannot_be() {
    for (keys, key) in [(S1, "shapes"), (S2, "shape"), (C21, "shapes"), (P1, "sdpa_shape")] {
        let uneven = keys.replacen("n_heads: 32", "n_heads: 32, n_kv_heads: 5", 1);
        let parts = [format!("X1_test.{key}: n_kv_heads 5 does not divide n_heads, 32")];
        refused(&entry(&uneven), "3:5", &parts.each_ref().map(String::as_str));
        let parts = ["X1_test.auto: \"fast\" is not known", "torch, fastest"];
        let line = 3 + keys.lines().count();
        refused(&entry(&format!("{keys}\nauto: fast")), &format!("{line}:11"), &parts);
    }
    let none = S1.replace("n_heads: 32", "n_heads: 32, n_kv_heads: 0");
    refused(&entry(&none), "4:65", &["n_kv_heads: expected an integer from 1", "found integer 0"]);
    refused(
        &entry(&C21.replace("[112, 107]", "[112, 112]")),
        "5:16",
        &["head_dims: item 2 is the same as item 1"],
    );
    refused(
        &entry(&format!("{C21}\ndetect_backend: maybe")),
        "6:21",
        &["detect_backend: expected a boolean"],
    );
    refused(&entry(&format!("{G3}\nauto: torch")), "7:5", &["X1_test.auto: there is no such key"]);
}

#[test]
fn what_is_missing_or_stands_twice() {
    let without_shapes = "type: sdpa_dense\nhead_dim_range: [64, 160]";
    refused(&entry(without_shapes), "3:5", &["experiments.X1_test: the key \"shapes\" is missing"]);
    refused(&entry("warmup: 3"), "3:5", &["experiments.X1_test: the key \"type\" is missing"]);
    refused(
        &entry(&format!("{S1}\nwarmup: 3\nwarmup: 4")),
        "7:5",
        &["X1_test: the key \"warmup\" stands twice"],
    );
    let twice = format!("{}  X1_test: 3\n", entry(S1));
    refused(&twice, "6:3", &["experiments: the key \"X1_test\" stands twice"]);
    refused("", "1:1", &["the key \"experiments\" is missing"]);
    refused("# nothing yet\n", "2:1", &["the key \"experiments\" is missing"]);
    refused("experiments:\n", "1:13", &["experiments: there is no experiment"]);
    refused("{}", "1:1", &["the key \"experiments\" is missing"]);
}

#[test]
fn text_that_is_no_yaml() {
    refused("experiments: {X1: {type: sdpa_dense", "2:1", &["not valid YAML"]);
    refused("experiments:\n\tX1: 3", "2:1", &["not valid YAML"]);
    refused("experiments: *nowhere", "1:14", &["not valid YAML: unknown anchor"]);
    let deep = format!("experiments: {}", "[".repeat(500));
    refused(&deep, "1:141", &["not valid YAML: recursion limit exceeded"]);
}

#[test]
fn names_that_are_no_folder() {
    let escaping = entry(S1).replace("X1_test", "../../etc");
    refused(&escaping, "3:5", &["experiments.../../etc: the name", "letters, digits"]);
    refused(&entry(S1).replace("X1_test", "1S"), "3:5", &["a letter first"]);
    let dotted = parse(&entry(S1).replace("X1_test", "S.1-x_test")).unwrap();
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
        let _ = parse(&entry(&text));
    }

    /// One edit somewhere in a valid spec: it loads, or the error is one line with a place in the
    /// file.
    #[test]
    fn no_edit_of_a_valid_spec_panics(
        at in 0..PUBLISHED.len(), removed in 0..40usize,
        inserted in prop_oneof![
            "[-\\[\\]{}:,\n #&*!|>'\"%@`0-9a-zA-Z]{0,8}", any::<String>(), Just(String::new()),
        ],
    ) {
        let end = (at + removed).min(PUBLISHED.len());
        let text = format!("{}{inserted}{}", &PUBLISHED[..at], &PUBLISHED[end..]);
        match parse(&text) {
            Ok(spec) => prop_assert!(!spec.entries.is_empty()),
            Err(SpecError::Invalid { line, column, problem, .. }) => {
                prop_assert!(line >= 1 && line <= text.lines().count() + 1);
                prop_assert!(column >= 1 && !problem.is_empty() && !problem.contains('\n'));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
