//! How the matrices of a GEMM are stored.

use super::precision::Element;
use serde::{Deserialize, Serialize};

/// How A and B are stored, row-major, in this order: `n` as the math has them, A `[M, K]` and B
/// `[K, N]`; `t` transposed, A `[K, M]` and B `[N, K]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GemmLayout {
    /// Both as the math has them.
    #[default]
    Nn,
    /// B transposed: the weights of `nn.Linear`, `[out, in]`.
    Nt,
    /// A transposed.
    Tn,
    /// Both transposed.
    Tt,
}

impl GemmLayout {
    /// All four.
    pub const ALL: [GemmLayout; 4] =
        [GemmLayout::Nn, GemmLayout::Nt, GemmLayout::Tn, GemmLayout::Tt];

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            GemmLayout::Nn => "nn",
            GemmLayout::Nt => "nt",
            GemmLayout::Tn => "tn",
            GemmLayout::Tt => "tt",
        }
    }

    /// Whether nobody asked for another.
    pub fn is_default(&self) -> bool {
        *self == GemmLayout::default()
    }

    /// Whether A is stored as `[K, M]`.
    pub fn a_transposed(self) -> bool {
        matches!(self, GemmLayout::Tn | GemmLayout::Tt)
    }

    /// Whether B is stored as `[N, K]`.
    pub fn b_transposed(self) -> bool {
        matches!(self, GemmLayout::Nt | GemmLayout::Tt)
    }
}

/// A matrix as it is stored, whose upper left corner holds data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaddedMatrix {
    /// Rows and columns, zeros included.
    pub size: [usize; 2],
    /// Rows and columns of data.
    pub data: [usize; 2],
}

impl PaddedMatrix {
    /// Whether there is anything beyond the data.
    pub fn is_padded(&self) -> bool {
        self.size != self.data
    }

    /// Bytes of the matrix and of its data: what a copy from one to the other moves.
    pub fn copy_bytes(&self, element: Element) -> f64 {
        let bytes = |[rows, columns]: [usize; 2]| (rows * columns * element.bytes()) as f64;
        bytes(self.size) + bytes(self.data)
    }
}
