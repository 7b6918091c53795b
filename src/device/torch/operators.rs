//! Which operators of PyTorch's are called, and how.

use crate::workload::{Backend, GemmLayout};
use std::ffi::CStr;

/// An attention backend of PyTorch's, in its own words `SDPBackend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `MATH`.
    Math,
    /// `FLASH_ATTENTION`.
    Flash,
    /// `EFFICIENT_ATTENTION`.
    MemEfficient,
    /// `CUDNN_ATTENTION`.
    Cudnn,
}

impl Choice {
    /// Its name here.
    pub fn backend(self) -> Backend {
        match self {
            Choice::Math => Backend::Math,
            Choice::Flash => Backend::Flash,
            Choice::MemEfficient => Backend::MemEfficient,
            Choice::Cudnn => Backend::Cudnn,
        }
    }
}

/// How attention is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionCall {
    /// The only backend that may be chosen; all of them where none is named.
    pub only: Option<Choice>,
    /// `is_causal`.
    pub causal: bool,
    /// Whether keys and values have fewer heads: `enable_gqa`.
    pub grouped: bool,
    /// Factor of the scores, if not `1 / sqrt(head_dim)`.
    pub scale: Option<f64>,
}

impl AttentionCall {
    pub(super) fn asked(&self) -> Backend {
        self.only.map_or(Backend::Auto, Choice::backend)
    }
}

/// A matrix multiplication of PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `aten::mm`: `[m, k]` times `[k, n]`.
    Mm,
    /// `aten::linear`: `[m, k]` times the transpose of the weights, `[n, k]`.
    Linear,
    /// `aten::bmm`: a batch of `[m, k]` times `[k, n]`.
    Bmm,
}

impl Product {
    /// What a program calls for matrices that are stored so: `x @ weights.T` is `F.linear`, and a
    /// batch takes `torch.bmm`.
    pub fn of(layout: GemmLayout, batch: usize) -> Product {
        match (layout, batch) {
            (_, 2..) => Product::Bmm,
            (GemmLayout::Nt, _) => Product::Linear,
            _ => Product::Mm,
        }
    }

    /// `aten::mm`.
    pub fn name(self) -> &'static CStr {
        match self {
            Product::Mm => c"aten::mm",
            Product::Linear => c"aten::linear",
            Product::Bmm => c"aten::bmm",
        }
    }
}
