//! What a model is made of, as far as its GEMMs and its attention go.

use crate::experiments::check::{Problem, problem};
use crate::experiments::value::Size;
use serde::{Deserialize, Serialize};

/// A decoder of equal layers, in the words of a Hugging Face `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {name, n_layers, hidden_size, ...}")]
pub struct Architecture {
    /// As a person calls it.
    pub name: String,
    pub n_layers: Size,
    pub hidden_size: Size,
    pub n_heads: Size,
    pub n_kv_heads: Size,
    pub head_dim: Size,
    /// Width of the MLP.
    pub intermediate_size: Size,
    pub vocab_size: Size,
    /// Whether the embedding's weights are those of lm_head too.
    #[serde(default)]
    pub tied: bool,
}

/// A linear layer of a decoder layer, by its name in checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names of checkpoints")]
pub enum Linear {
    QProj,
    KProj,
    VProj,
    OProj,
    GateProj,
    UpProj,
    DownProj,
}

impl Linear {
    pub const ALL: [Linear; 7] = [
        Linear::QProj,
        Linear::KProj,
        Linear::VProj,
        Linear::OProj,
        Linear::GateProj,
        Linear::UpProj,
        Linear::DownProj,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Linear::QProj => "q_proj",
            Linear::KProj => "k_proj",
            Linear::VProj => "v_proj",
            Linear::OProj => "o_proj",
            Linear::GateProj => "gate_proj",
            Linear::UpProj => "up_proj",
            Linear::DownProj => "down_proj",
        }
    }

    /// `self_attn.q_proj`: the rest of its name behind that of its layer.
    pub fn path(self) -> String {
        format!("{}.{}", if self.is_mlp() { "mlp" } else { "self_attn" }, self.name())
    }

    pub fn is_mlp(self) -> bool {
        matches!(self, Linear::GateProj | Linear::UpProj | Linear::DownProj)
    }

    /// Whether tensor parallelism divides its input, not its output.
    pub fn is_row_parallel(self) -> bool {
        matches!(self, Linear::OProj | Linear::DownProj)
    }
}

impl Architecture {
    /// Features into a linear layer and out of it, in a layer whose MLP has that width.
    pub fn features(&self, linear: Linear, mlp_width: usize) -> [usize; 2] {
        let hidden = self.hidden_size.get();
        let heads = |count: Size| count.get() * self.head_dim.get();
        match linear {
            Linear::QProj => [hidden, heads(self.n_heads)],
            Linear::KProj | Linear::VProj => [hidden, heads(self.n_kv_heads)],
            Linear::OProj => [heads(self.n_heads), hidden],
            Linear::GateProj | Linear::UpProj => [hidden, mlp_width],
            Linear::DownProj => [mlp_width, hidden],
        }
    }

    /// What is wrong with the ranks of a linear layer, those of equal groups of its outputs.
    pub fn misfit_of_ranks(&self, linear: Linear, ranks: &[usize]) -> Option<String> {
        let [into, out] = self.features(linear, self.intermediate_size.get());
        let groups = ranks.len().max(1);
        let most = into.min(out / groups);
        match ranks.iter().find(|rank| **rank > most) {
            Some(rank) => {
                Some(format!("rank {rank} is above {most}, the smaller width of the layer"))
            }
            None if out.is_multiple_of(groups) => None,
            None => Some(format!("{groups} groups do not divide {out} outputs")),
        }
    }

    /// What is wrong with the width of an MLP.
    pub fn misfit_of_width(&self, width: usize) -> Option<String> {
        let dense = self.intermediate_size.get();
        (width > dense).then(|| format!("width {width} is above the dense one, {dense}"))
    }

    /// Weights of the embedding and of lm_head.
    pub fn embedding_parameters(&self) -> usize {
        let one = self.vocab_size.get() * self.hidden_size.get();
        if self.tied { one } else { 2 * one }
    }

    pub fn check(&self, tp: Size) -> Result<(), Problem> {
        let (heads, kv_heads) = (self.n_heads, self.n_kv_heads);
        if !heads.get().is_multiple_of(kv_heads.get()) {
            let what = format!("{heads} heads cannot share {kv_heads} KV heads");
            return Err(problem("model.n_kv_heads", what));
        }
        let widths = [
            ("model.n_heads", heads),
            ("model.n_kv_heads", kv_heads),
            ("model.intermediate_size", self.intermediate_size),
        ];
        for (key, width) in widths {
            if !width.get().is_multiple_of(tp.get()) {
                return Err(problem("tp", format!("{tp} does not divide {key}, {width}")));
            }
        }
        // Products of two of these are numbers of weights.
        let sizes = [self.hidden_size, self.intermediate_size, self.vocab_size, self.head_dim];
        let sizes = sizes.into_iter().chain([heads, kv_heads, self.n_layers]);
        match sizes.max().filter(|largest| largest.get() > MAX_SIZE) {
            Some(size) => Err(problem("model", format!("{size} is too large: up to {MAX_SIZE}"))),
            None => Ok(()),
        }
    }
}

/// Of a dimension of a model.
pub const MAX_SIZE: usize = 1 << 24;
