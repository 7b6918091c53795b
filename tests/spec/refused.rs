//! Bad specs, each refused in one line that says where and what instead.

use crate::{G3, G4, HET1, P1, S1, S2, but, entry, parse, refused, with};
use night_sweep::spec::{Spec, SpecError};

#[test]
fn misspelt_names() {
    refused(
        but(S1, "head_dim_range", "head_dim_rang"),
        "5:5",
        "X1_test.head_dim_rang: there is no such key .. did you mean \"head_dim_range\"? .. \
         allowed are dtype, shapes, .. description, protocol, warmup, measure, trials",
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
