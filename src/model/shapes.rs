//! What a model computes, without measuring: its GEMMs, and which of their dimensions are
//! misaligned.

use crate::experiments::model_layers::layer::LayerDims;
use crate::experiments::model_layers::part::{Kind, Part};
use crate::experiments::model_layers::{ModelLayers, Plan};
use crate::experiments::value::one;
use crate::render::table::{table, with_header, wrapped};
use crate::units::{count, percent, three_digits};
use crate::workload::Operation;
use indexmap::{IndexMap, IndexSet};

/// What tensor cores take without a slower kernel.
const ALIGNED: usize = 8;

/// The distinct GEMMs, totals for each number of tokens and for each plan.
pub fn of(model: &ModelLayers, width: usize) -> String {
    let layers = model.layers();
    let mut paragraphs = [gemms, totals, plans].map(|of| of(model, &layers, width)).to_vec();
    paragraphs.push(wrapped("", &misaligned(model, &layers), width));
    paragraphs.join("\n")
}

/// A GEMM without its M, and the modules that it is of.
struct Gemm {
    layers: IndexSet<usize>,
    modules: IndexSet<&'static str>,
    count: usize,
}

fn distinct(model: &ModelLayers, layers: &[LayerDims]) -> IndexMap<(usize, usize), Gemm> {
    let setting = model.setting();
    let mut found: IndexMap<(usize, usize), Gemm> = IndexMap::new();
    let Some(step) = model.steps().into_iter().next() else { return found };
    for (at, layer) in layers.iter().enumerate() {
        for (kind, part) in setting.layer(layer, step) {
            let (Kind::Linear(linear), Part::Linear { n, k, .. }) = (kind, part) else { continue };
            let gemm = found.entry((n, k)).or_insert_with(|| Gemm {
                layers: IndexSet::new(),
                modules: IndexSet::new(),
                count: 0,
            });
            gemm.layers.insert(at);
            gemm.modules.insert(linear.name());
            gemm.count += 1;
        }
    }
    found
}

fn gemms(model: &ModelLayers, layers: &[LayerDims], width: usize) -> String {
    let mut found: Vec<_> = distinct(model, layers).into_iter().collect();
    found.sort_by_key(|((n, k), gemm)| (std::cmp::Reverse(gemm.count), *n, *k));
    let rows = found.iter().map(|((n, k), gemm)| {
        let modules: Vec<&str> = gemm.modules.iter().copied().collect();
        let bad = [("N", n), ("K", k)].into_iter().filter(|(_, dim)| *dim % ALIGNED != 0);
        let bad: Vec<&str> = bad.map(|(name, _)| name).collect();
        vec![
            modules.join(", "),
            n.to_string(),
            k.to_string(),
            gemm.layers.len().to_string(),
            gemm.count.to_string(),
            count(n * k * gemm.count),
            if bad.is_empty() { String::new() } else { format!("{} misaligned", bad.join(", ")) },
        ]
    });
    let rows = with_header(["GEMM", "N", "K", "layers", "times", "weights", ""], rows);
    format!("{} distinct GEMMs of {}\n{}", found.len(), model.model.name, table(1, &rows, width))
}

fn totals(model: &ModelLayers, layers: &[LayerDims], width: usize) -> String {
    let setting = model.setting();
    let rows = model.steps().into_iter().map(|step| {
        let parts = layers.iter().flat_map(|layer| setting.layer(layer, step));
        let parts = parts.map(|(_, part)| part).chain([setting.lm_head(step)]);
        let operations: Vec<_> = parts.map(|part| part.operation(model.provider)).collect();
        let flops: f64 = operations.iter().map(Operation::flops).sum();
        let bytes: f64 = operations.iter().map(|it| it.bytes(model.dtype.into())).sum();
        vec![
            step.words(),
            operations.len().to_string(),
            three_digits(flops / 1e12),
            three_digits(bytes / 1e9),
        ]
    });
    table(1, &with_header(["tokens", "operations", "TFLOP", "GB"], rows), width)
}

fn plans(model: &ModelLayers, layers: &[LayerDims], width: usize) -> String {
    let parameters = |plan| -> usize {
        let planned = layers.iter().map(|layer| model.planned(plan, layer));
        planned.map(|layer| layer.parameters(&model.model)).sum::<usize>()
            + model.model.embedding_parameters()
    };
    let dense = parameters(Plan::Dense) as f64;
    let rows = Plan::ALL.map(|plan| {
        let share = percent(parameters(plan) as f64 / dense * 100.0);
        [plan.name().to_owned(), count(parameters(plan)), share]
    });
    table(1, &with_header(["plan", "parameters", "of dense"], rows), width)
}

/// How much is misaligned, and what of it only the split over GPUs makes so.
fn misaligned(model: &ModelLayers, layers: &[LayerDims]) -> String {
    let is_bad = |(n, k): &(usize, usize)| n % ALIGNED != 0 || k % ALIGNED != 0;
    let how_many = |found: &IndexMap<(usize, usize), Gemm>| -> (usize, usize) {
        let all = found.values().map(|gemm| gemm.count).sum();
        (found.iter().filter(|(dims, _)| is_bad(dims)).map(|(_, gemm)| gemm.count).sum(), all)
    };
    let (bad, all) = how_many(&distinct(model, layers));
    let mut text =
        format!("{bad} of {all} GEMMs have a dimension that is no multiple of {ALIGNED}.");
    if model.tp.get() > 1 {
        let alone = ModelLayers { tp: one(), ..model.clone() };
        let (before, _) = how_many(&distinct(&alone, layers));
        text += &format!(" Before the split over {} GPUs: {before}.", model.tp);
    }
    text
}
