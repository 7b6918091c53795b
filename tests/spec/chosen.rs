//! What an entry chooses by name: providers, the protocol, algorithms.

use crate::{C21, G3, G4, G5, HET1, P1, S1, S2, but, entry, experiment, refused, with};
use night_sweep::measure::record::ProtocolKind;
use night_sweep::workload::case::Case;

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
