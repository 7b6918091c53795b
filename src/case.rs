//! A case: one thing to time, with the names it goes by in Criterion and in the report.

use crate::shape::{DType, GemmShape, SdpaShape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to time. A row of the report is one case, and any variants of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// `group/series/point`: Criterion's id, unique in a run.
    pub id: String,
    /// The id of the row this case belongs to; equal to `id` unless this is a variant.
    pub row: String,
    /// How a variant differs from its row (`on_the_fly`, `padded`); none for the row itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The curve this point lies on, as a legend names it.
    pub curve: String,
    /// The swept dimension at this point (head_dim, K, N, or the padded size).
    pub dim: usize,
    /// Element type of every operand.
    pub dtype: DType,
    /// What is launched.
    pub operation: Operation,
    /// The experiment's own columns, written at the top of the row as they are.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
}

/// What one launch computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A matrix product.
    Gemm(Gemm),
    /// A matrix product by the fastest of all algorithms that the library offers, not the one that it chooses.
    GemmBest(Gemm),
    /// Matrix products one after the other, counted as one launch.
    GemmSequence(Vec<Gemm>),
    /// Scaled dot-product attention, forward.
    Sdpa(Sdpa),
}

/// A product whose operands may be padded with zeros beyond `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// What the library is asked to multiply.
    pub shape: GemmShape,
    /// The part that holds data; no larger than `shape` in any dimension.
    pub data: GemmShape,
}

/// Attention `O = softmax(Q Kᵀ / sqrt(data_head_dim)) V`, whose heads may be padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sdpa {
    /// What the backend is asked to compute.
    pub shape: SdpaShape,
    /// The head_dim that holds data, and that the scale follows; at most `shape.head_dim`.
    pub data_head_dim: usize,
    /// Mask out keys after the query.
    pub causal: bool,
    /// Which backend has to run, or `Auto`.
    pub backend: Backend,
}

/// An attention backend by the name a spec asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Backend {
    /// The first backend of the device's policy that supports the shape.
    Auto,
    /// FlashAttention-2.
    Flash,
    /// The CUTLASS-style memory-efficient attention.
    MemEfficient,
    /// Products and softmax apart, in float32 as PyTorch does by default.
    Math,
    /// As MATH, with 16-bit products and scores.
    MathFp16,
    /// cuDNN's fused attention.
    Cudnn,
    /// Blocked online softmax on the host's cores.
    CpuBlocked,
}

impl Backend {
    /// Every name a spec may use.
    pub const ALL: [Backend; 7] = [
        Backend::Auto,
        Backend::Flash,
        Backend::MemEfficient,
        Backend::Math,
        Backend::MathFp16,
        Backend::Cudnn,
        Backend::CpuBlocked,
    ];

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Auto => "AUTO",
            Backend::Flash => "FLASH",
            Backend::MemEfficient => "MEM_EFFICIENT",
            Backend::Math => "MATH",
            Backend::MathFp16 => "MATH_FP16",
            Backend::Cudnn => "CUDNN",
            Backend::CpuBlocked => "CPU_BLOCKED",
        }
    }
}

impl Gemm {
    /// A product without padding.
    pub fn dense(shape: GemmShape) -> Self {
        Gemm { shape, data: shape }
    }
}

impl Operation {
    /// Useful floating-point operations of one launch: padding does not count.
    pub fn flops(&self) -> f64 {
        match self {
            Operation::Gemm(gemm) | Operation::GemmBest(gemm) => gemm.data.flops(),
            Operation::GemmSequence(parts) => parts.iter().map(|part| part.data.flops()).sum(),
            Operation::Sdpa(sdpa) => {
                SdpaShape { head_dim: sdpa.data_head_dim, ..sdpa.shape }.flops(sdpa.causal)
            }
        }
    }

    /// Bytes that one launch must move at least, padding included.
    pub fn bytes(&self) -> f64 {
        match self {
            Operation::Gemm(gemm) | Operation::GemmBest(gemm) => gemm.shape.bytes(),
            Operation::GemmSequence(parts) => parts.iter().map(|part| part.shape.bytes()).sum(),
            Operation::Sdpa(sdpa) => sdpa.shape.bytes(),
        }
    }
}

impl Case {
    /// A row of its own: its id is `group/series/point`.
    pub fn row(
        group: &str,
        series: &str,
        point: &str,
        dim: usize,
        dtype: DType,
        operation: Operation,
    ) -> Self {
        let id = format!("{group}/{series}/{point}");
        let curve = series.to_owned();
        Case {
            row: id.clone(),
            id,
            variant: None,
            curve,
            dim,
            dtype,
            operation,
            labels: Map::new(),
        }
    }

    /// The same case under the legend `curve`.
    pub fn on_curve(self, curve: impl Into<String>) -> Self {
        Case { curve: curve.into(), ..self }
    }

    /// The same case with one more column in its row.
    pub fn label(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.labels.insert(key.to_owned(), value.into());
        self
    }

    /// Another way to compute this row, timed as a case of its own: `group/series_name/point`.
    pub fn variant(&self, name: &str, operation: Operation) -> Self {
        let (head, point) = self.id.rsplit_once('/').unwrap_or(("", &self.id));
        Case {
            id: format!("{head}_{name}/{point}"),
            variant: Some(name.to_owned()),
            operation,
            labels: Map::new(),
            ..self.clone()
        }
    }
}
