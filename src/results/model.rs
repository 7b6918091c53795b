//! M1 in summary.json: what the dimensions of a model cost, plan by plan.

#![allow(missing_docs)] // of what its name says

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A model under several plans for its dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelReport {
    pub model: String,
    pub n_layers: usize,
    pub dtype: String,
    /// GPUs that share each layer.
    pub tp: usize,
    /// Rows of the KV cache in a decode step.
    pub context: usize,
    pub max_overhead_pct: f64,
    pub plans: Vec<PlanSize>,
    pub steps: Vec<StepTimes>,
    /// One layer as a single graph, beside the sum of its parts.
    pub whole_layers: Vec<WholeLayer>,
    /// What compression changed, those that lose most first.
    pub modules: Vec<ModuleLoss>,
    /// Why the advised plan is no better than another one, where that is so.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanSize {
    pub plan: String,
    /// Weights of the linear layers, the embedding and lm_head.
    pub parameters: usize,
}

/// The whole model for so many tokens at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepTimes {
    /// `decode` or `prefill`.
    pub phase: String,
    pub tokens: usize,
    pub plans: Vec<PlanTime>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanTime {
    pub plan: String,
    /// Sum of the medians of its parts, on one GPU, in ms; null where one of them has no time.
    pub total_ms: Option<f64>,
    /// Holds the sum of another run 19 times in 20, in ms.
    pub ci95_ms: Option<[f64; 2]>,
    pub speedup_over_dense: Option<f64>,
    /// Holds that of another run 19 times in 20. Narrower than the times' own intervals: an
    /// operation that both plans have does not tell them apart.
    pub ci95_over_dense: Option<[f64; 2]>,
    pub speedup_over_as_is: Option<f64>,
    /// The same by kind of module, in ms.
    pub by_kind_ms: IndexMap<String, f64>,
    /// A part without a time, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WholeLayer {
    pub plan: String,
    pub phase: String,
    pub tokens: usize,
    pub layer: usize,
    /// One launch of all its operations, in ms.
    pub graph_ms: f64,
    /// Sum of the medians of the same operations timed apart, in ms.
    pub parts_ms: f64,
    /// How much longer the parts take, in per cent of the graph.
    pub difference_pct: f64,
    /// What differs, where that is more than 5 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Layers in which a compression left the same dimension of a module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModuleLoss {
    /// `self_attn.k_proj`, or `mlp`.
    pub module: String,
    pub layers: Vec<usize>,
    /// The rank of a pair, the ranks of its groups, or the width of an MLP.
    pub dims: Vec<usize>,
    /// What to take instead; null for the dense layer.
    pub advised: Option<Vec<usize>>,
    /// What that saves in each step, over all these layers, in ms; in the order of `steps`.
    pub saved_ms: Vec<f64>,
    /// The same as a part of the compressed model's time, the mean over all steps, in per cent.
    pub saved_pct: f64,
}

/// The ranks of groups, `157+157`, or one rank or width.
pub fn dims(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("+")
}
