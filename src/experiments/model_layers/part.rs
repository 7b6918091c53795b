//! The operations of a layer: what is measured once, whichever plans and layers need it.

use super::architecture::{Architecture, Linear};
use super::layer::LayerDims;
use crate::workload::case::Case;
use crate::workload::matrix::GemmLayout;
use crate::workload::operation::{Backend, Gemm, Operation, ProviderChoice, Sdpa};
use crate::workload::shape::{DType, GemmShape, SdpaShape};
use serde::{Deserialize, Serialize};

/// Tokens that go through the model at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    pub phase: Phase,
    /// Sequences of a decode step, each with one token; tokens of a prompt.
    pub tokens: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Decode,
    Prefill,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Decode => "decode",
            Phase::Prefill => "prefill",
        }
    }
}

impl Step {
    /// `decode of 16`, `prompt of 512`.
    pub fn words(self) -> String {
        match self.phase {
            Phase::Decode => format!("decode of {}", self.tokens),
            Phase::Prefill => format!("prompt of {}", self.tokens),
        }
    }

    /// `decode16`, as ids have it.
    pub fn name(self) -> String {
        format!("{}{}", self.phase.name(), self.tokens)
    }
}

/// What a part is a part of, in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Linear(Linear),
    Attention,
    LmHead,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Linear(linear) => linear.name(),
            Kind::Attention => "attention",
            Kind::LmHead => "lm_head",
        }
    }
}

/// An operation of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `nn.Linear`: `[m, k]` times the transpose of `[n, k]`; which of `n` and `k` the model
    /// decides.
    Linear {
        m: usize,
        n: usize,
        k: usize,
        by: Swept,
    },
    Attention(Sdpa),
}

/// The dimension of a GEMM that a compression changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swept {
    N,
    K,
}

/// How a model is run.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub model: &'a Architecture,
    /// Rows of the KV cache in a decode step.
    pub context: usize,
    /// GPUs that share each layer.
    pub tp: usize,
    pub provider: ProviderChoice,
}

impl Setting<'_> {
    /// The parts of a layer on one GPU, in their order.
    pub fn layer(&self, dims: &LayerDims, step: Step) -> Vec<(Kind, Part)> {
        let linear = |linear: Linear| {
            let parts = self.linear(linear, dims, step.tokens).into_iter();
            parts.map(move |part| (Kind::Linear(linear), part))
        };
        let [q, k, v, o, mlp @ ..] = Linear::ALL;
        let mut parts: Vec<(Kind, Part)> = [q, k, v].into_iter().flat_map(linear).collect();
        parts.push((Kind::Attention, self.attention(step)));
        parts.extend([o].into_iter().chain(mlp).flat_map(linear));
        parts
    }

    /// The last one of a model: of each sequence's last token.
    pub fn lm_head(&self, step: Step) -> Part {
        let m = if step.phase == Phase::Decode { step.tokens } else { 1 };
        let n = self.model.vocab_size.get().div_ceil(self.tp);
        Part::Linear { m, n, k: self.model.hidden_size.get(), by: Swept::N }
    }

    fn linear(&self, linear: Linear, dims: &LayerDims, m: usize) -> Vec<Part> {
        let [into, out] = self.model.features(linear, dims.mlp_width);
        let (into, out) = match linear.is_row_parallel() {
            true => (into / self.tp, out),
            false => (into, out / self.tp),
        };
        let Some(ranks) = dims.ranks.get(&linear) else {
            let by = if linear == Linear::DownProj { Swept::K } else { Swept::N };
            return vec![Part::Linear { m, n: out, k: into, by }];
        };
        // With tensor parallelism a GPU has as many groups as it has of the outputs: the first GPU.
        let ranks = match ranks.len() {
            1 => &ranks[..],
            groups => &ranks[..(groups / self.tp).max(1)],
        };
        let down = Part::Linear { m, n: ranks.iter().sum(), k: into, by: Swept::N };
        let n = out / ranks.len();
        let up = ranks.iter().map(|&k| Part::Linear { m, n, k, by: Swept::K });
        [down].into_iter().chain(up).collect()
    }

    fn attention(&self, step: Step) -> Part {
        let Architecture { n_heads, n_kv_heads, head_dim, .. } = self.model;
        let (heads, kv_heads) = (n_heads.get() / self.tp, n_kv_heads.get() / self.tp);
        let (batch, seq_len, kv_len) = match step.phase {
            Phase::Decode => (step.tokens, 1, Some(self.context)),
            Phase::Prefill => (1, step.tokens, None),
        };
        let shape = SdpaShape {
            batch,
            seq_len,
            kv_len,
            n_heads: heads,
            n_kv_heads: (kv_heads != heads).then_some(kv_heads),
            head_dim: head_dim.get(),
        };
        let causal = step.phase == Phase::Prefill;
        let sdpa = Sdpa::dense(shape, Backend::Auto);
        Part::Attention(Sdpa { causal, provider: self.provider, ..sdpa })
    }
}

impl Part {
    pub fn operation(&self, provider: ProviderChoice) -> Operation {
        match *self {
            Part::Linear { m, n, k, .. } => {
                let gemm = Gemm::dense(GemmShape { m, n, k });
                Operation::Gemm(Gemm { layout: GemmLayout::Nt, provider, ..gemm })
            }
            Part::Attention(sdpa) => Operation::Sdpa(sdpa),
        }
    }

    /// The row that times it. Its operands come from memory, as those of a layer do.
    pub fn case(&self, group: &str, dtype: DType, provider: ProviderChoice) -> Case {
        let (kind, by) = (dtype.name(), provider.suffix());
        let (series, point, dim, curve) = match *self {
            Part::Linear { m, n, k, by: Swept::N } => {
                (format!("linear_M{m}_K{k}"), format!("N{n}"), n, format!("M={m} K={k}, over N"))
            }
            Part::Linear { m, n, k, by: Swept::K } => {
                (format!("linear_M{m}_N{n}"), format!("K{k}"), k, format!("M={m} N={n}, over K"))
            }
            Part::Attention(Sdpa { shape, .. }) => {
                let SdpaShape { batch, seq_len, n_heads, head_dim, .. } = shape;
                let heads = format!("h{n_heads}_kv{}", shape.kv_heads());
                let (series, curve) = match shape.kv_len {
                    Some(context) => (
                        format!("attention_b{batch}_context{context}_{heads}"),
                        format!("attention, decode of {batch} at context {context}"),
                    ),
                    None => (
                        format!("attention_prompt{seq_len}_{heads}"),
                        format!("attention, prompt of {seq_len}"),
                    ),
                };
                (series, format!("d{head_dim}"), head_dim, curve)
            }
        };
        let operation = Operation::Cold(Box::new(self.operation(provider)));
        let series = format!("{series}_{kind}{by}");
        let row = Case::row(group, &series, &point, dim, dtype, operation).on_curve(curve);
        match self {
            Part::Attention(sdpa) => row.label("backend", sdpa.backend.name()).masked(sdpa.causal),
            Part::Linear { .. } => row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::llama;
    use super::*;

    #[test]
    fn the_row_of_a_prompts_attention_says_that_it_is_masked() {
        let (model, provider) = (llama(), ProviderChoice::Auto);
        let setting = Setting { model: &model, context: 4096, tp: 1, provider };
        let causal = |phase| {
            let part = setting.attention(Step { phase, tokens: 16 });
            part.case("M1", DType::Bf16, provider).labels.get("causal").cloned()
        };
        assert_eq!(causal(Phase::Prefill), Some(true.into()));
        assert_eq!(causal(Phase::Decode), None);
    }
}
