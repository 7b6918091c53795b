use super::architecture::{Architecture, Linear};
use super::choose::Chooser;
use super::layer::LayerDims;
use super::part::{Kind, Part, Phase, Step, Swept};
use super::{ModelLayers, Plan};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// Llama-3-8B.
pub fn llama() -> Architecture {
    serde_json::from_value(serde_json::json!({
        "name": "Llama-3-8B", "n_layers": 32, "hidden_size": 4096, "n_heads": 32, "n_kv_heads": 8,
        "head_dim": 128, "intermediate_size": 14336, "vocab_size": 128_256,
    }))
    .unwrap()
}

/// Its layers, dense, over so many GPUs.
fn llama_on(tp: usize) -> ModelLayers {
    let entry = json!({"model": llama(), "tp": tp, "decode": [16], "prefill": [512]});
    serde_json::from_value(entry).unwrap()
}

const DECODE: Step = Step { phase: Phase::Decode, tokens: 16 };
const PREFILL: Step = Step { phase: Phase::Prefill, tokens: 512 };

/// The GEMMs `[n, k]` of each linear layer, in their order; M has to be that of the step.
fn gemms(of: &ModelLayers, dims: &LayerDims, step: Step) -> Vec<(Linear, [usize; 2])> {
    let parts = of.setting().layer(dims, step).into_iter();
    let gemm = |(kind, part)| match (kind, part) {
        (Kind::Linear(linear), Part::Linear { m, n, k, .. }) => {
            assert_eq!(m, step.tokens);
            Some((linear, [n, k]))
        }
        _ => None,
    };
    parts.filter_map(gemm).collect()
}

#[test]
fn a_dense_layer_has_the_gemms_of_its_linear_layers() {
    use Linear::*;
    let dense = LayerDims::dense(&llama());
    let on = |tp| {
        let found = gemms(&llama_on(tp), &dense, DECODE);
        assert_eq!(found, gemms(&llama_on(tp), &dense, Step { tokens: 16, ..PREFILL }));
        found
    };
    let (hidden, kv, mlp) = (4096, 1024, 14336);
    for tp in [1, 2, 8] {
        let expected = [
            (QProj, [hidden / tp, hidden]),
            (KProj, [kv / tp, hidden]),
            (VProj, [kv / tp, hidden]),
            // These two have a part of the input and all of the output.
            (OProj, [hidden, hidden / tp]),
            (GateProj, [mlp / tp, hidden]),
            (UpProj, [mlp / tp, hidden]),
            (DownProj, [hidden, mlp / tp]),
        ];
        assert_eq!(on(tp), expected, "{tp} GPUs");
    }
}

#[test]
fn a_pair_is_two_gemms_and_groups_are_one_and_one_each() {
    use Linear::*;
    let ranks =
        BTreeMap::from([(QProj, vec![1433]), (KProj, vec![157, 165]), (DownProj, vec![2230])]);
    let dims = LayerDims { ranks, mlp_width: 10240 };
    let of = |tp, linear| -> Vec<[usize; 2]> {
        let found = gemms(&llama_on(tp), &dims, PREFILL).into_iter();
        found.filter(|(own, _)| *own == linear).map(|(_, gemm)| gemm).collect()
    };
    assert_eq!(of(1, QProj), [[1433, 4096], [4096, 1433]]);
    assert_eq!(of(1, KProj), [[157 + 165, 4096], [512, 157], [512, 165]]);
    assert_eq!(of(1, GateProj), [[10240, 4096]]);
    assert_eq!(of(1, DownProj), [[2230, 10240], [4096, 2230]]);
    // Two GPUs: the first of two groups; the whole rank where it is of all outputs.
    assert_eq!(of(2, KProj), [[157, 4096], [512, 157]]);
    assert_eq!(of(2, QProj), [[1433, 4096], [2048, 1433]]);
    assert_eq!(of(2, DownProj), [[2230, 5120], [4096, 2230]]);
}

#[test]
fn attention_and_lm_head_are_those_of_the_phase() {
    let of = llama_on(2);
    let attention = |step| {
        let parts = of.setting().layer(&LayerDims::dense(&of.model), step);
        let at = parts.iter().position(|(kind, _)| *kind == Kind::Attention).unwrap();
        assert_eq!(at, 3, "after q, k and v");
        let Part::Attention(sdpa) = parts[at].1 else { panic!("an attention") };
        let heads = [sdpa.shape.n_heads, sdpa.shape.kv_heads(), sdpa.shape.head_dim];
        assert_eq!(heads, [16, 4, 128]);
        (sdpa.shape.batch, sdpa.shape.seq_len, sdpa.shape.kv_len, sdpa.causal)
    };
    assert_eq!(attention(DECODE), (16, 1, Some(4096), false));
    assert_eq!(attention(PREFILL), (1, 512, None, true));
    let lm_head = |m| Part::Linear { m, n: 64128, k: 4096, by: Swept::N };
    assert_eq!(of.setting().lm_head(DECODE), lm_head(16));
    assert_eq!(of.setting().lm_head(PREFILL), lm_head(1));
}

#[test]
fn what_plans_and_layers_share_is_timed_once() {
    let mut of = llama_on(1);
    let dense: Vec<Part> = of.parts().into_iter().collect();
    // q and o are equal, k and v, gate and up; then down, attention, lm_head; in two steps.
    assert_eq!(dense.len(), 2 * 6);
    let ranks = json!({"k_proj": vec![json!([157, 157]); 32]});
    of.ranks = serde_json::from_value(ranks).unwrap();
    let parts = of.parts();
    assert!(dense.iter().all(|part| parts.contains(part)));
    // 157, and up to multiples of 8 and 16 (160), 32 (160), 64 (192) and 128 (256): two GEMMs each.
    assert_eq!(parts.len(), dense.len() + 2 * 2 * 4);
}

/// Four small layers, two of them compressed twice.
fn small(max_overhead_pct: f64) -> ModelLayers {
    serde_json::from_value(json!({
        "model": {"name": "small", "n_layers": 4, "hidden_size": 256, "n_heads": 8, "n_kv_heads": 4,
                  "head_dim": 32, "intermediate_size": 704, "vocab_size": 2000},
        "ranks": {"q_proj": [null, 107, 91, null], "k_proj": [[29, 29], [37, 37], null, null]},
        "mlp_widths": [704, 704, 501, 611],
        "decode": [1],
        "prefill": [64],
        "max_overhead_pct": max_overhead_pct,
    }))
    .unwrap()
}

fn size(of: &ModelLayers, dims: &[LayerDims]) -> usize {
    dims.iter().map(|layer| layer.parameters(&of.model)).sum()
}

fn cost(of: &ModelLayers, times: &HashMap<Part, f64>, dims: &[LayerDims]) -> f64 {
    let parts = |step| dims.iter().flat_map(move |layer| of.setting().layer(layer, step));
    of.steps().into_iter().flat_map(parts).map(|(_, part)| times[&part]).sum()
}

fn advised(
    of: &ModelLayers,
    times: &HashMap<Part, f64>,
    half: f64,
    budget: usize,
) -> Vec<LayerDims> {
    let half_ms = times.keys().map(|part| (*part, half)).collect();
    let weights = of.steps().into_iter().map(|step| (step, 1.0)).collect();
    Chooser { of, times_ms: times, half_ms: &half_ms, weights }.advised(&of.layers(), budget)
}

/// Multiples of 8 take a third of the time of others.
fn aligned_is_faster(part: &Part) -> f64 {
    match *part {
        Part::Linear { n, k, .. } => {
            let is_aligned = n.is_multiple_of(8) && k.is_multiple_of(8);
            (n * k) as f64 / 1e5 * if is_aligned { 1.0 } else { 3.0 }
        }
        Part::Attention(_) => 1.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_advised_plan_keeps_the_budget_and_is_no_slower_than_those_that_do(
        seed in prop::collection::vec(0.1f64..10.0, 200), more in 0.0f64..0.2,
    ) {
        let of = small(10.0);
        let layers = of.layers();
        let parts = of.parts();
        prop_assert!(parts.len() <= seed.len());
        let times: HashMap<Part, f64> = parts.into_iter().zip(seed).collect();
        let budget = (size(&of, &layers) as f64 * (1.0 + more)) as usize;
        let found = advised(&of, &times, 0.01, budget);
        prop_assert!(size(&of, &found) <= budget);
        for plan in [Plan::AsIs, Plan::Round8, Plan::Round64] {
            let dims = of.plan_of_layers(plan, &layers);
            if size(&of, &dims) <= budget {
                let [own, other] = [&found, &dims].map(|dims| cost(&of, &times, dims));
                prop_assert!(own <= other + 1e-9, "{own} against {other} of {}", plan.name());
            }
        }
    }
}

#[test]
fn the_advised_plan_takes_what_is_fast_where_it_pays() {
    let of = small(10.0);
    let layers = of.layers();
    let times: HashMap<Part, f64> =
        of.parts().into_iter().map(|part| (part, aligned_is_faster(&part))).collect();
    let room = size(&of, &layers) * 11 / 10;
    let round_8 = of.plan_of_layers(Plan::Round8, &layers);
    assert_eq!(advised(&of, &times, 0.0, room), round_8, "the smallest aligned ones");

    // A rank of 128 is faster than 112, the next multiple of 8.
    let mut faster = times.clone();
    for (part, ms) in &mut faster {
        if let Part::Linear { n: 128, k: 256, .. } | Part::Linear { n: 256, k: 128, .. } = part {
            *ms = 0.01;
        }
    }
    let found = advised(&of, &faster, 0.0, room);
    assert_eq!((&*found[1].ranks[&Linear::QProj], found[2].mlp_width), (&[128][..], 504));
    assert!(cost(&of, &faster, &found) < cost(&of, &faster, &round_8));

    // Nothing is known to be faster within that noise, and there is no room for more.
    let noise = times.values().fold(0.0, |most: f64, ms| most.max(*ms));
    let few = size(&of, &layers);
    assert_eq!(advised(&of, &times, noise, few), layers);
    // A part without a time leaves its unit as it is.
    let mut unknown = times;
    unknown.retain(|part, _| !matches!(part, Part::Linear { n: 504, .. }));
    let found = advised(&of, &unknown, 0.0, room);
    assert_eq!(found[1].ranks[&Linear::QProj], [112]);
}
