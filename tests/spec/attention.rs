//! Sweeps of attention.

use crate::{C21, D1, S1, dims, entry, experiment, refused, with};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::Operation;
use night_sweep::workload::shape::SdpaShape;
use serde_json::json;

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
