use super::super::input::Item;
use super::{read, replaced};

fn item(name: Option<&str>, dim: usize, importance: f64) -> Item {
    Item { name: name.map(str::to_owned), dim, importance }
}

/// Names and dimensions.
fn named(text: &str) -> Vec<(String, usize)> {
    let file = read(text).unwrap();
    assert!(file.left_out.is_empty(), "{text:?}: {:?}", file.left_out);
    file.items.into_iter().map(|item| (item.name.unwrap(), item.dim)).collect()
}

#[test]
fn lists_are_read_however_they_are_written() {
    let plain = vec![item(None, 107, 1.0), item(None, 113, 1.0)];
    for text in [
        "[107, 113]",
        "[107.0, 113]",
        "107\n113\n",
        "\u{feff}107\r\n113\r\n",
        "dim\n107\n113",
        "107,113",
        "rank\n107.0\n113.0\n",
        ",dim\n0,107\n1,113\n",
    ] {
        assert_eq!(read(text).unwrap().items, plain, "{text:?}");
    }
    let two = vec![item(Some("q, first"), 107, 2.5), item(Some("v"), 113, 1.0)];
    for text in [
        r#"[{"name": "q, first", "dim": 107, "importance": 2.5}, {"name": "v", "dim": 113.0}]"#,
        r#"[{"importance": 2.5, "module": "q, first", "rank": 107},
            {"module": "v", "width": 113}]"#,
        "importance,name,dim\n2.5,\"q, first\",107\n,v,113\n",
        "importance;name;dim\n2.5;q, first;107\n;v;113\n",
    ] {
        assert_eq!(read(text).unwrap().items, two, "{text:?}");
    }
}

#[test]
fn a_table_of_pandas_is_read_and_what_it_has_besides_is_named_once() {
    let text = ",name,dim,ratio,Unnamed: 0\n0,q,107.0,0.7,4\n1,k,,0.6,5\n2,v,113.0,0.5,6\n3,o,,,\n";
    let file = read(text).unwrap();
    assert_eq!(file.items, [item(Some("q"), 107, 1.0), item(Some("v"), 113, 1.0)]);
    let left_out: Vec<&str> = file.left_out.iter().map(String::as_str).collect();
    assert_eq!(left_out, ["column ratio", "column Unnamed: 0", "2 rows without a dimension"]);
    let records = r#"[{"dim": 107, "ratio": 0.7}, {"dim": 113, "ratio": 0.5}]"#;
    assert_eq!(read(records).unwrap().left_out.iter().collect::<Vec<_>>(), ["key ratio"]);
    assert_eq!(
        named("layer,module,rank\n0,mlp.up_proj,107\n11,mlp.up_proj,113\n"),
        [("layers.0.mlp.up_proj".into(), 107), ("layers.11.mlp.up_proj".into(), 113)]
    );
}

#[test]
fn what_compression_methods_write_is_read_with_its_modules_in_its_order() {
    let palu = r#"{"model_type": "palullama", "hidden_size": 4096, "head_wise_ranks": {
        "model.layers.2.self_attn.k_proj": [107, 121],
        "model.layers.10.self_attn.v_proj": [509]}}"#;
    let expected = [
        ("model.layers.2.self_attn.k_proj[0]".into(), 107),
        ("model.layers.2.self_attn.k_proj[1]".into(), 121),
        ("model.layers.10.self_attn.v_proj".into(), 509),
    ];
    assert_eq!(named(palu), expected);
    let alone = r#"{"model.layers.2.self_attn.k_proj": [107, 121],
        "model.layers.10.self_attn.v_proj": [509]}"#;
    assert_eq!(named(alone), expected);
    assert_eq!(named(r#"{"0": [107, 113]}"#), [("0[0]".into(), 107), ("0[1]".into(), 113)]);

    let ranks = [
        ("model.layers.0.self_attn.q_proj".into(), 95),
        ("model.layers.1.mlp.up_proj".into(), 159),
    ];
    for text in [
        r#"{"model.layers.0.self_attn.q_proj": 95, "model.layers.1.mlp.up_proj": 159}"#,
        r#"{"rank_config": {"model.layers.0.self_attn.q_proj": 95,
            "model.layers.1.mlp.up_proj": 159}}"#,
        r#"{"vocab_size": 8, "truncation_ranks": {"model.layers.0.self_attn.q_proj": 95.0,
            "model.layers.1.mlp.up_proj": 159}, "rope_scaling": {"factor": 8.0}}"#,
        r#"{"model.layers.0": {"self_attn.q_proj": 95},
            "model.layers.1": {"mlp": {"up_proj": 159}}}"#,
        "name,width\nmodel.layers.0.self_attn.q_proj,95\nmodel.layers.1.mlp.up_proj,159\n",
    ] {
        assert_eq!(named(text), ranks, "{text}");
    }

    let puzzle = r#"{"architectures": ["DeciLMForCausalLM"], "block_configs": [
        {"attention": {"no_op": true}, "ffn": {"intermediate_size": 5637}},
        {"attention": {"n_heads_in_group": 4}, "ffn": {"no_op": true, "intermediate_size": null}},
        {"ffn": {"intermediate_size": 4875}}]}"#;
    let widths = [0, 2].map(|layer| format!("model.layers.{layer}.mlp.intermediate_size"));
    assert_eq!(named(puzzle), widths.into_iter().zip([5637, 4875]).collect::<Vec<_>>());
}

#[test]
fn what_is_no_list_of_dimensions_is_refused() {
    for (text, says) in [
        ("", "no dimension in it"),
        ("[]", "no dimension in it"),
        ("{}", "no dimension in it"),
        (r#"{"q_proj": []}"#, "no dimension in it"),
        ("dim\n", "no dimension in it"),
        ("[107, -3]", "entry 2"),
        ("[107, 1.5]", "entry 2: 1.5 is no dimension"),
        ("[107", "no valid JSON"),
        ("[0]", "0: a dimension is from 1"),
        (r#"[{"dim": 8, "importance": -1}]"#, "importance -1"),
        (r#"[{"dim": 8, "importance": "high"}]"#, "importance \"high\""),
        (r#"[{"dim": 8, "rank": 9}]"#, "has two dimensions"),
        (r#"[{"size": 8}]"#, "entry 1: {\"size\":8} has no dim; known are: a JSON list"),
        (r#"{"dim": 8}"#, "one {name, dim} stands in a list"),
        (r#"{"hidden_size": 4096, "hidden_act": "silu"}"#, "hidden_act: \"silu\" is no dimension"),
        (r#"{"hidden_act": "silu"}"#, "head_wise_ranks (PaLU)"),
        (r#"{"model.layers.0.self_attn.q_proj": 0.9}"#, "q_proj: 0.9 is no dimension"),
        (r#"{"ranks": {"q": 8}, "widths": {"up": 9}}"#, "it has ranks and widths"),
        (r#"{"block_configs": [{"ffn": {"ffn_mult": 1.3}}]}"#, "ffn.intermediate_size"),
        ("name,size\na,3", "one has to be dim"),
        ("dim,rank\n3,3", "only one can be the dimension"),
        ("107\nx", "line 2: \"x\""),
        ("107,\n", "line 1: \"\""),
        ("name,dim\na,8,9\n", "line: 2"),
        ("dim,importance\n8,NaN", "importance NaN"),
        ("dim\n1e99\n", "line 2: \"1e99\""),
    ] {
        let error = format!("{:#}", read(text).unwrap_err());
        assert!(error.contains(says) && !error.contains('\n'), "{text:?}: {error}");
    }
}

fn assert_replaced(text: &str, dims: &[usize], expected: &str) {
    let found = replaced(text, dims).unwrap();
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(plain(&found), plain(expected));
    let again: Vec<usize> = read(&found).unwrap().items.iter().map(|item| item.dim).collect();
    assert_eq!(again, dims);
}

#[test]
fn every_form_keeps_what_is_no_dimension() {
    assert_replaced("[107, 113]", &[112, 128], "[112, 128]");
    assert_replaced(
        r#"[{"name": "L0.k_proj", "importance": 107, "dim": 107}]"#,
        &[112],
        r#"[{"name": "L0.k_proj", "importance": 107, "dim": 112}]"#,
    );
    let palu = r#"{"layers": 32, "head_wise_ranks": {"model.layers.0.self_attn.k_proj": [1, 2]}}"#;
    assert_replaced(palu, &[8, 16], &palu.replace("[1, 2]", "[8, 16]"));
    let csv = "layer,name,dim,importance\n3,k_proj,107,107\n4,k_proj,113,1\n";
    assert_replaced(
        csv,
        &[112, 128],
        &csv.replace("k_proj,107", "k_proj,112").replace("113", "128"),
    );
    assert_replaced("107;113\n", &[112, 120], "112;120\n");
}
