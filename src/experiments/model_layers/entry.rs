//! The keys of an entry, and the cases that they ask for.

use super::architecture::{Architecture, Linear, MAX_SIZE};
use super::layer::{LayerDims, MULTIPLES};
use super::part::{Part, Phase, Setting, Step};
use crate::experiments::gemm::one_provider;
use crate::experiments::prelude::*;
use indexmap::{IndexMap, IndexSet};
use serde::de::{Deserializer, Error};
use std::collections::BTreeMap;

/// A model, what a compression left of its dimensions, and how many tokens go through it at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelLayers {
    pub model: Architecture,
    #[serde(default = "bf16")]
    pub dtype: DType,
    /// The ranks of each layer's linear layers of a name: one, several of equal groups of outputs,
    /// or null where it is dense.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub ranks: IndexMap<Linear, Vec<Option<Ranks>>>,
    /// The width of each layer's MLP; all are dense if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mlp_widths: Vec<Size>,
    /// Sequences in a decode step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<List<Size>>,
    /// Tokens of a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<List<Size>>,
    /// Rows of the KV cache of each sequence in a decode step.
    #[serde(default = "context")]
    pub context: Size,
    /// GPUs that share each layer.
    #[serde(default = "one")]
    pub tp: Size,
    /// How many more parameters than the compressed model the advised one may have.
    #[serde(default = "max_overhead_pct")]
    pub max_overhead_pct: f64,
    /// Whose GEMMs and attention are timed.
    #[serde(default, deserialize_with = "one_provider")]
    pub provider: ProviderChoice,
}

/// The rank of a pair, or those of its groups; written as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Ranks {
    One(Size),
    Groups(Vec<Size>),
}

impl<'de> Deserialize<'de> for Ranks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a rank, or a list of the ranks of equal groups")]
        enum Either {
            One(Size),
            Groups(Vec<Size>),
        }
        match Either::deserialize(deserializer)? {
            Either::One(rank) => Ok(Ranks::One(rank)),
            Either::Groups(ranks) if ranks.is_empty() => Err(D::Error::custom("no rank")),
            Either::Groups(ranks) => Ok(Ranks::Groups(ranks)),
        }
    }
}

impl Ranks {
    fn get(&self) -> Vec<usize> {
        match self {
            Ranks::One(rank) => vec![rank.get()],
            Ranks::Groups(ranks) => ranks.iter().map(|rank| rank.get()).collect(),
        }
    }
}

fn bf16() -> DType {
    DType::Bf16
}

fn context() -> Size {
    Size::new(4096)
}

fn max_overhead_pct() -> f64 {
    10.0
}

/// The plans that are the same whatever was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    Dense,
    AsIs,
    Round8,
    Round64,
}

impl Plan {
    pub const ALL: [Plan; 4] = [Plan::Dense, Plan::AsIs, Plan::Round8, Plan::Round64];

    pub fn name(self) -> &'static str {
        match self {
            Plan::Dense => "dense",
            Plan::AsIs => "as_is",
            Plan::Round8 => "round_8",
            Plan::Round64 => "round_64",
        }
    }
}

impl ModelLayers {
    pub fn setting(&self) -> Setting<'_> {
        let (context, tp) = (self.context.get(), self.tp.get());
        Setting { model: &self.model, context, tp, provider: self.provider }
    }

    /// The dimensions that the compression left, layer by layer.
    pub fn layers(&self) -> Vec<LayerDims> {
        let dense = LayerDims::dense(&self.model);
        let layer = |at: usize| {
            let ranks = |(linear, ranks): (&Linear, &Vec<Option<Ranks>>)| {
                Some((*linear, ranks.get(at)?.as_ref()?.get()))
            };
            let width = self.mlp_widths.get(at).map_or(dense.mlp_width, |width| width.get());
            let ranks: BTreeMap<Linear, Vec<usize>> = self.ranks.iter().filter_map(ranks).collect();
            LayerDims { ranks, mlp_width: width }
        };
        (0..self.model.n_layers.get()).map(layer).collect()
    }

    pub fn planned(&self, plan: Plan, layer: &LayerDims) -> LayerDims {
        let round = |multiple| layer.rounded(multiple, &self.model, self.tp.get());
        match plan {
            Plan::Dense => LayerDims::dense(&self.model),
            Plan::AsIs => layer.clone(),
            Plan::Round8 => round(8),
            Plan::Round64 => round(64),
        }
    }

    pub fn steps(&self) -> Vec<Step> {
        let steps = |counts: &Option<List<Size>>, phase| {
            let counts: Vec<Size> = counts.iter().flatten().copied().collect();
            counts.into_iter().map(move |count| Step { phase, tokens: count.get() })
        };
        steps(&self.decode, Phase::Decode).chain(steps(&self.prefill, Phase::Prefill)).collect()
    }

    /// All that any plan may need, once.
    pub fn parts(&self) -> IndexSet<Part> {
        let setting = self.setting();
        let layers: IndexSet<LayerDims> = self.layers().into_iter().collect();
        let mut parts = IndexSet::new();
        for step in self.steps() {
            let mut add = |dims: &LayerDims| {
                parts.extend(setting.layer(dims, step).into_iter().map(|(_, part)| part));
            };
            add(&LayerDims::dense(&self.model));
            for layer in &layers {
                for multiple in MULTIPLES {
                    add(&layer.rounded(multiple, &self.model, self.tp.get()));
                }
            }
            parts.insert(setting.lm_head(step));
        }
        parts
    }

    /// The layer that is measured as a whole: of those that were compressed the middle one.
    pub fn whole_layer(&self) -> usize {
        let layers = self.layers();
        let is_compressed = |at: &usize| !layers[*at].units(&self.model).is_empty();
        let compressed: Vec<usize> = (0..layers.len()).filter(is_compressed).collect();
        compressed.get(compressed.len() / 2).copied().unwrap_or(layers.len() / 2)
    }

    /// A whole layer under a plan, as one launch: `M1/layer_as_is_bf16/decode16`.
    pub fn layer_case(&self, group: &str, plan: Plan, step: Step) -> Case {
        let (at, dtype) = (self.whole_layer(), self.dtype);
        let dims = self.planned(plan, &self.layers()[at]);
        let parts = self.setting().layer(&dims, step).into_iter();
        let operations = parts.map(|(_, part)| part.operation(self.provider)).collect();
        let operation = Operation::Cold(Box::new(Operation::Layer(operations)));
        let series = format!("layer_{}_{}{}", plan.name(), dtype.name(), self.provider.suffix());
        Case::row(group, &series, &step.name(), step.tokens, dtype, operation)
            .on_curve(format!("layer {at} in {}, {}", step.phase.name(), plan.name()))
            .label("plan", plan.name())
            .label("layer", at)
    }

    fn check_layers(&self) -> Result<(), Problem> {
        let count = self.model.n_layers.get();
        let one_each = |key: &str, found: usize| {
            let what = format!("{found} entries for {count} layers: give one for each");
            if found == count { Ok(()) } else { Err(problem(key, what)) }
        };
        if !self.mlp_widths.is_empty() {
            one_each("mlp_widths", self.mlp_widths.len())?;
        }
        let tp = self.tp.get();
        let undivided = |what: usize| !what.is_multiple_of(tp);
        for (at, width) in self.mlp_widths.iter().enumerate() {
            let width = width.get();
            let misfit = self.model.misfit_of_width(width);
            let misfit = misfit
                .or_else(|| undivided(width).then(|| format!("tp, {tp}, does not divide {width}")));
            if let Some(what) = misfit {
                return Err(problem("mlp_widths", format!("layer {at}: {what}")));
            }
        }
        for (linear, ranks) in &self.ranks {
            let key = format!("ranks.{}", linear.name());
            one_each(&key, ranks.len())?;
            for (at, ranks) in ranks.iter().enumerate() {
                let ranks = ranks.as_ref().map(Ranks::get).unwrap_or_default();
                let groups = ranks.len();
                let misfit = self.model.misfit_of_ranks(*linear, &ranks).or_else(|| {
                    let is_split = groups > 1 && undivided(groups);
                    is_split.then(|| format!("tp, {tp}, does not divide {groups} groups"))
                });
                if let Some(what) = misfit {
                    return Err(problem(&key, format!("layer {at}: {what}")));
                }
            }
        }
        Ok(())
    }
}

impl Sweep for ModelLayers {
    fn check(&self) -> Result<(), Problem> {
        self.model.check(self.tp)?;
        self.check_layers()?;
        let steps = self.steps();
        if steps.is_empty() {
            return Err("neither decode nor prefill is given: give token counts".to_owned());
        }
        let counts = steps.iter().map(|step| (step.phase.name(), step.tokens));
        for (key, tokens) in counts.chain([("context", self.context.get())]) {
            if tokens > MAX_SIZE {
                let what = format!("{tokens} tokens are too many: up to {MAX_SIZE}");
                return Err(problem(key, what));
            }
        }
        if !(0.0..=100.0).contains(&self.max_overhead_pct) {
            let what = format!("{} is no percentage from 0 to 100", self.max_overhead_pct);
            return Err(problem("max_overhead_pct", what));
        }
        let parts = self.parts();
        check::cases("model", 0..parts.len(), 1)?;
        for part in parts {
            match part.operation(self.provider) {
                Operation::Gemm(gemm) => check::gemm("model", &gemm)?,
                Operation::Sdpa(sdpa) => check::sdpa("model", sdpa.shape)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A row for each distinct operation and shape, `M1/linear_M16_K4096_bf16/N314`, and one for a
    /// whole layer under each plan.
    fn cases(&self, group: &str) -> Vec<Case> {
        let part = |part: Part| part.case(group, self.dtype, self.provider);
        let whole = |step| Plan::ALL.map(|plan| self.layer_case(group, plan, step));
        let parts = self.parts().into_iter().map(part);
        parts.chain(self.steps().into_iter().flat_map(whole)).collect()
    }
}
