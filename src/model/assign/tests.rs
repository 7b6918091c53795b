use super::*;
use serde_json::{from_value, json};

fn model() -> Architecture {
    from_value(json!({
        "name": "small", "n_layers": 4, "hidden_size": 256, "n_heads": 8, "n_kv_heads": 4,
        "head_dim": 32, "intermediate_size": 768, "vocab_size": 1000,
    }))
    .unwrap()
}

fn assigned(items: &[(&str, usize)], dims_are: Option<DimsAre>, groups: usize) -> Result<Assigned> {
    let item = |&(name, dim): &(&str, usize)| {
        let name = (!name.is_empty()).then(|| name.to_owned());
        Item { name, dim, importance: 1.0 }
    };
    let items: Vec<Item> = items.iter().map(item).collect();
    let found = assign(&model(), &items, dims_are, groups)?;
    check(&found, &model()).map(|()| found)
}

fn error(items: &[(&str, usize)]) -> String {
    format!("{:#}", assigned(items, None, 1).unwrap_err())
}

#[test]
fn names_of_checkpoints_find_their_module() {
    let found = assigned(
        &[
            ("model.layers.0.self_attn.k_proj[0]", 16),
            ("model.layers.0.self_attn.k_proj[1]", 24),
            ("L2.k_proj", 33),
            ("layers.3.gate", 107),
        ],
        None,
        1,
    )
    .unwrap();
    assert_eq!(found.ranks[&Linear::KProj], [vec![16, 24], vec![], vec![33], vec![]]);
    assert_eq!(found.ranks[&Linear::GateProj][3], [107]);
    assert_eq!((found.mlp_widths, found.notes), (None, vec![]));
    let place = |layer, linear, group| vec![Place { layer, linear: Some(linear), group }];
    assert_eq!(found.places[1], place(0, Linear::KProj, 1));
    assert_eq!(found.places[3], place(3, Linear::GateProj, 0));
    // A rank of PaLU's is that of each of its groups.
    let grouped = assigned(&[("L2.k_proj", 33)], None, 2).unwrap();
    assert_eq!(grouped.ranks[&Linear::KProj][2], [33, 33]);
}

#[test]
fn one_name_may_be_of_several_modules_in_all_layers() {
    let found = assigned(&[("q_proj+o_proj.rank", 100), ("gate+up+down.rank", 120)], None, 1);
    let found = found.unwrap();
    let all = vec![vec![100]; 4];
    assert_eq!((&found.ranks[&Linear::QProj], &found.ranks[&Linear::OProj]), (&all, &all));
    assert_eq!((found.ranks.len(), found.places[1].len()), (5, 12));
}

#[test]
fn widths_are_of_the_mlp() {
    let found = assigned(&[("model.layers.1.mlp.intermediate_size", 501)], None, 1).unwrap();
    assert_eq!(found.mlp_widths, Some(vec![768, 501, 768, 768]));
    let items = [("layers.1.mlp.gate_proj", 501), ("layers.1.mlp.up_proj", 501)];
    let found = assigned(&items, Some(DimsAre::Widths), 1).unwrap();
    assert_eq!((found.mlp_widths.unwrap()[1], found.ranks.len()), (501, 0));
    // Of all layers where none is named.
    let found = assigned(&[("gate+up+down", 501)], Some(DimsAre::Widths), 1).unwrap();
    assert_eq!((found.mlp_widths, found.ranks.len()), (Some(vec![501; 4]), 0));
}

#[test]
fn dimensions_without_a_module_are_given_in_turn_and_said_to_be() {
    let found = assigned(&[("mlp_intermediate_501", 501), ("mlp_intermediate_700", 700)], None, 1);
    let found = found.unwrap();
    assert_eq!(found.mlp_widths, Some(vec![501, 700, 501, 700]));
    assert_eq!(found.places[0].len(), 2);
    assert!(found.notes[0].contains("widths of the MLP"), "{:?}", found.notes);
    // 127 saves weights in all of a layer but k and v, 191 in its MLP alone.
    let found = assigned(&[("asvd_k_127", 127), ("", 191)], None, 1).unwrap();
    let first = |linear| found.ranks.get(&linear).map(|layers| layers[0].clone());
    assert_eq!((first(Linear::QProj), first(Linear::KProj)), (Some(vec![127]), None));
    assert_eq!(
        (first(Linear::GateProj), first(Linear::UpProj)),
        (Some(vec![191]), Some(vec![127]))
    );
    let note = "no module is named by asvd_k_127, one without a name: taken as ranks";
    assert!(found.notes[0].starts_with(note), "{:?}", found.notes);
}

#[test]
fn what_does_not_fit_is_told_in_a_line() {
    let says = |items: &[(&str, usize)], parts: &[&str]| {
        let error = error(items);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains('\n'), "{error}");
    };
    says(&[("L4.k_proj", 8)], &["L4.k_proj", "no layer 4", "has 4"]);
    says(&[("L0.k_proj", 129)], &["layer 0, self_attn.k_proj", "129 is above 128"]);
    says(&[("layers.0.mlp", 769)], &["layer 0", "769 is above the dense one, 768"]);
    says(&[("L0.k_proj", 8), ("layers.0.k_proj", 9)], &["another rank too"]);
    says(&[("layers.0.experts", 8)], &["none of these names", "layers.0.experts"]);
    says(&[("transformer.wte", 64)], &["none of these names", "transformer.wte"]);
    let found = assigned(&[("L0.k_proj", 8), ("visual.blocks", 9)], None, 1).unwrap();
    assert_eq!(found.notes, ["left out, as they name no module: visual.blocks"]);
}
