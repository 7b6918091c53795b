use super::Spec;
use super::yaml::{locate, read};
use crate::experiments;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

fn json(text: &str) -> Value {
    serde_json::to_value(read(text).unwrap()).unwrap()
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse(text, Path::new("s.yaml")).map_err(|error| error.to_string())
}

const G3: &str = "type: gemm_k_dense, dtypes: [fp16], shape: {M: 16, N: 8}, K_range: [8, 16]";

fn spec(entries: &str) -> String {
    format!("experiments:\n  G3_a: &a {{{G3}}}\n{entries}")
}

#[test]
fn merge_keys_are_resolved_as_pyyaml_does() {
    let bases = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: &c {y: 3, z: 3}\n";
    for (merging, expected) in [
        ("{<<: *a}", json!({"x": 1, "y": 1})),
        ("{<<: *b, z: 0}", json!({"x": 1, "y": 2, "z": 0})),
        ("{x: 0, <<: *b}", json!({"x": 0, "y": 2})),
        ("{<<: [*b, *c]}", json!({"x": 1, "y": 2, "z": 3})),
        ("{<<: [*c, *b], x: 0}", json!({"x": 0, "y": 3, "z": 3})),
        ("{<<: {<<: *a, x: 5}}", json!({"x": 5, "y": 1})),
        ("{<<: [], x: 0}", json!({"x": 0})),
        ("[{in: {<<: *a, x: {<<: *c}}}]", json!([{"in": {"x": {"y": 3, "z": 3}, "y": 1}}])),
    ] {
        assert_eq!(json(&format!("{bases}m: {merging}"))["m"], expected, "{merging}");
    }
    for wrong in ["{<<: 3}", "{<<: [*a, 3]}", "{<<: }"] {
        let message = refusal(&format!("{bases}m: {wrong}"));
        assert!(message.contains("<< merges a map or a list of maps at line 4"), "{message}");
    }
}

#[test]
fn an_entry_may_merge_another_and_its_type() {
    let merged = "  G3_b: {<<: *a, shape: {M: 32, N: 32}}\n  G3_c: {<<: *a, K_range: [4, 5]}\n";
    let spec = parse(&spec(merged)).unwrap();
    let of = |name| spec.experiment(name).unwrap().to_json();
    assert_eq!(of("G3_b")["shape"], json!({"M": 32, "N": 32}));
    assert_eq!((&of("G3_b")["K_range"], &of("G3_c")["K_range"]), (&json!([8, 16]), &json!([4, 5])));
    assert_eq!(of("G3_c")["shape"], of("G3_a")["shape"]);
}

#[test]
fn an_error_in_what_was_merged_or_aliased_has_a_place() {
    let merged = parse(&spec("  G4_b: {<<: *a, type: gemm_n_dense}\n")).unwrap_err();
    assert!(merged.starts_with("s.yaml:3:9: experiments.G4_b."), "{merged}");
    let base = "experiments:\n  X: {type: other, d: &d [fp16, 3]}\n";
    let aliased = format!("{base}  G3_a: {{{}}}\n", G3.replace("[fp16]", "*d"));
    let message = parse(&aliased).unwrap_err();
    assert!(message.starts_with("s.yaml:2:33: experiments.G3_a.dtypes[1]: "), "{message}");
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for start in ["", "---\n", "# a comment\n---\n"] {
        std::fs::write(file.path(), format!("\u{feff}{start}{}", spec(""))).unwrap();
        assert_eq!(Spec::load(file.path()).unwrap().entries.len(), 1);
    }
    std::fs::write(file.path(), "\u{feff}experimnets: {}").unwrap();
    assert!(Spec::load(file.path()).unwrap_err().to_string().contains(":1:1: "));
}

#[test]
fn a_key_that_stands_twice_is_located_at_the_second() {
    for (text, at) in [
        ("a: 1\nb: 2\na: 3\n", "line 3 column 1"),
        ("a: {b: [1, {c: 1, \"c\": 2}]}", "line 1 column 19"),
        ("? a\n: 1\n? a\n: 2\n", "line 3 column 3"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "line 2 column 13"),
    ] {
        let message = refusal(text);
        assert!(message.contains("stands twice") && message.ends_with(at), "{message}");
    }
}

#[test]
fn what_no_spec_may_use_is_refused() {
    assert!(refusal("a: !b 3").contains("a tag (!name) is not known here"));
    assert!(refusal("[{[1]: 2}]").contains("expected a key"));
    assert!(refusal("a: 1\n---\na: 2").contains("more than one document"));
}

#[test]
fn depth_and_merged_maps_have_limits() {
    let doubled = (1..2000).map(|i| format!("a{i}: &a{i} {{<<: [*a{0}, *a{0}]}}\n", i - 1));
    let doubled = format!("a0: &a0 {{x: 1}}\n{}", doubled.collect::<String>());
    assert!(refusal(&doubled).contains("more than 16 MB once its aliases are followed"));
    assert!(refusal(&"[".repeat(1_000_000)).contains("over a thousand deep"));
    assert!(refusal(&"- ".repeat(100_000)).contains("recursion limit exceeded"));
}

#[test]
fn provenance_is_any_map_and_kept() {
    let with = |provenance: &str| {
        parse(&format!("experiments: {{G3_a: {{{G3}, provenance: {provenance}}}}}"))
    };
    let spec = with("{paper: x, runs: [1, {night: 2}], 3: null}").unwrap();
    let kept = &spec.experiment("G3_a").unwrap().to_json()["provenance"];
    assert_eq!(kept, &json!({"paper": "x", "runs": [1, {"night": 2}], "3": null}));
    assert!(with("a paper").unwrap_err().contains("G3_a.provenance: expected a map, found string"));
}

#[test]
fn types_that_are_not_run_are_named_with_the_nearest() {
    let nothing = parse("experiments: {X_x: {type: gemm}, Y: {type: hardware_analysis}}").unwrap();
    let others: Vec<String> = nothing.other_types().collect();
    assert!(others[0].starts_with("X_x is of type \"gemm\", which is not run here"), "{others:?}");
    assert!(others[0].contains("did you mean \"gemm_"), "{others:?}");
    assert!(others[1].ends_with(experiments::names().last().unwrap()), "{others:?}");
    let message = nothing.runnable().unwrap_err().to_string();
    assert!(message.starts_with("s.yaml: nothing in it can be run: X_x is of type"), "{message}");
    assert_eq!(parse(&spec("  X_x: {type: gemm}\n")).unwrap().runnable().unwrap(), 1);
}

proptest! {
    /// Maps of a few keys in a chain or in a list: the first that has a key gives its value.
    #[test]
    fn the_nearest_map_with_a_key_counts(
        maps in prop::collection::vec(prop::collection::btree_map("[a-e]", 0..9u8, 0..4), 1..5),
    ) {
        let keys = |map: &std::collections::BTreeMap<String, u8>| -> String {
            map.iter().map(|(key, value)| format!("{key}: {value}, ")).collect()
        };
        let chain = maps.iter().rfold("{}".to_owned(), |base, map| {
            format!("{{{}<<: {base}}}", keys(map))
        });
        let list: Vec<String> = maps.iter().map(|map| format!("{{{}}}", keys(map))).collect();
        let mut expected = std::collections::BTreeMap::new();
        maps.iter().rev().for_each(|map| expected.extend(map.clone()));
        prop_assert_eq!(json(&chain), json!(expected));
        prop_assert_eq!(json(&format!("<<: [{}]", list.join(", "))), json!(expected));
    }

    /// Every key and value is found where it was written.
    #[test]
    fn places_are_found(keys in prop::collection::btree_set("[a-z]{1,9}", 1..6), at in 0..6usize) {
        let keys: Vec<String> = keys.into_iter().collect();
        let at = at % keys.len();
        let text: String = keys.iter().map(|key| format!("{key}: [1, {{x: 2}}]\n")).collect();
        let (line, width) = (at + 1, keys[at].len());
        let place = [keys[at].as_str().into(), 1.into(), "x".into(), "absent".into()];
        prop_assert_eq!(locate(&text, &place[..1], true), (line, 1));
        prop_assert_eq!(locate(&text, &place[..1], false), (line, width + 3));
        prop_assert_eq!(locate(&text, &place[..2], false), (line, width + 7));
        prop_assert_eq!(locate(&text, &place[..3], true), (line, width + 8));
        prop_assert_eq!(locate(&text, &place, true), (line, width + 11));
    }
}
