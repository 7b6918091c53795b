//! What the types that time attention share.

use super::check::{self, Problem, problem};
use super::dims::DimKeys;
use super::value::{OneOrList, Size};
use crate::workload::case::Case;
use crate::workload::operation::{Backend, Operation, ProviderChoice, Sdpa};
use crate::workload::shape::{DType, SdpaShape};
use serde::{Deserialize, Serialize};

/// The keys of a swept head_dim.
pub const HEAD_DIM: DimKeys = DimKeys {
    range: "head_dim_range",
    list: "head_dims",
    boundary: "head_dim_boundary",
    steps: ["head_dim_step_1", "head_dim_step_2"],
};

/// An attention but for its head_dim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {batch, seq_len, n_heads}")]
pub struct AttentionSize {
    pub batch: Size,
    pub seq_len: Size,
    pub n_heads: Size,
    /// KV heads, a divisor of `n_heads`; as many as those if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<Size>,
}

impl AttentionSize {
    /// With a longer [`AttentionSize::id`], the longest series built from it would pass the 64
    /// bytes of a part.
    const LONGEST_ID: usize = 24;

    /// The attention at one head_dim. Our own names say whose they are: `provider` is nothing to
    /// them.
    pub fn attention(
        self,
        head_dim: usize,
        backend: Backend,
        provider: ProviderChoice,
        causal: bool,
    ) -> Sdpa {
        let shape = self.shape(head_dim);
        let provider = if backend.is_published() { provider } else { ProviderChoice::Auto };
        Sdpa { provider, causal, ..Sdpa::dense(shape, backend) }
    }

    fn shape(self, head_dim: usize) -> SdpaShape {
        SdpaShape {
            batch: self.batch.get(),
            seq_len: self.seq_len.get(),
            kv_len: None,
            n_heads: self.n_heads.get(),
            n_kv_heads: self.fewer_kv_heads().map(Size::get),
            head_dim,
        }
    }

    /// The middle part of a case's id, with all that changes what is computed but its head_dim:
    /// `b4_s2048_h32_fp16`, `b4_s2048_h32_kv8_fp16_FLASH_causal`, `b4_s2048_h32_fp16_AUTO_pytorch`.
    /// AUTO is named if `names_auto`, as where backends are compared.
    pub fn series(self, dtype: DType, attention: &Sdpa, names_auto: bool) -> String {
        let mut series = format!("{}_{}", self.id(), dtype.name());
        if names_auto || attention.backend != Backend::Auto {
            series += &format!("_{}", attention.backend.name());
        }
        if attention.causal {
            series += "_causal";
        }
        series + attention.provider.suffix()
    }

    /// The row of an attention whose backend is part of the question:
    /// `S2/b4_s2048_h32_fp16_FLASH/d107`.
    pub fn row(self, group: &str, dtype: DType, attention: Sdpa) -> Case {
        let head_dim = attention.shape.head_dim;
        let series = self.series(dtype, &attention, true);
        let operation = Operation::Sdpa(attention);
        Case::row(group, &series, &format!("d{head_dim}"), head_dim, dtype, operation)
            .label("head_dim", head_dim)
            .label("backend", attention.backend.name())
            .masked(attention.causal)
    }

    /// `b4_s2048_h32`, or `b4_s2048_h32_kv8`.
    fn id(self) -> String {
        let kv_heads =
            self.fewer_kv_heads().map_or_else(String::new, |heads| format!("_kv{heads}"));
        format!("b{}_s{}_h{}{kv_heads}", self.batch, self.seq_len, self.n_heads)
    }

    /// As a legend: `batch 4, seq 2048, 32 heads`, or `..., 32 heads on 8`.
    pub fn legend(self) -> String {
        let on = self.fewer_kv_heads().map_or_else(String::new, |heads| format!(" on {heads}"));
        format!("batch {}, seq {}, {} heads{on}", self.batch, self.seq_len, self.n_heads)
    }

    /// The legend of a backend's curve. That of AUTO alone needs no more than its shape.
    pub fn legend_of(self, backend: Backend, backends: &[Backend]) -> String {
        match backends {
            [Backend::Auto] => self.legend(),
            _ => format!("{}, {}", self.legend(), backend.name()),
        }
    }

    fn fewer_kv_heads(self) -> Option<Size> {
        self.n_kv_heads.filter(|heads| *heads != self.n_heads)
    }

    pub fn check(self, key: &str, head_dim: usize) -> Result<(), Problem> {
        let (heads, kv_heads) = (self.n_heads, self.n_kv_heads.unwrap_or(self.n_heads));
        if !heads.get().is_multiple_of(kv_heads.get()) {
            let what = format!("n_kv_heads {kv_heads} does not divide n_heads, {heads}");
            return Err(problem(key, what));
        }
        check::sdpa(key, self.shape(head_dim))?;
        if self.id().len() > Self::LONGEST_ID {
            let what = format!("{} is too long for the ids of cases", self.id());
            return Err(problem(key, what));
        }
        Ok(())
    }
}

/// The backend of a spec that names none.
pub fn auto() -> OneOrList<Backend> {
    OneOrList::of_one(Backend::Auto)
}
