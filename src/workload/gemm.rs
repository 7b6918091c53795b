//! A GEMM, or a batch of them, padding included.

use super::matrix::{GemmLayout, PaddedMatrix};
use super::precision::Precision;
use super::provider::ProviderChoice;
use super::shape::GemmShape;
use serde::{Deserialize, Serialize};

/// A GEMM whose operands may be padded with zeros beyond `data`, or a batch of GEMMs of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gemm {
    /// What the library is asked to multiply.
    pub shape: GemmShape,
    /// The part that holds data; no larger than `shape` in any dimension.
    pub data: GemmShape,
    /// How A and B are stored.
    #[serde(default, skip_serializing_if = "GemmLayout::is_default")]
    pub layout: GemmLayout,
    /// GEMMs of this shape in one call: A, B and C of each lie behind those of the one before. Only
    /// 1 where there is padding.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch: usize,
    /// Whose GEMM it is: the library's, or PyTorch's.
    #[serde(default, skip_serializing_if = "ProviderChoice::is_auto")]
    pub provider: ProviderChoice,
}

fn one() -> usize {
    1
}

fn is_one(batch: &usize) -> bool {
    *batch == 1
}

impl Gemm {
    /// One, without padding, of matrices as the math has them.
    pub fn dense(shape: GemmShape) -> Self {
        let (layout, provider) = (GemmLayout::Nn, ProviderChoice::Auto);
        Gemm { shape, data: shape, layout, batch: 1, provider }
    }

    /// Whether it is one GEMM of matrices as the math has them.
    pub fn is_plain(&self) -> bool {
        self.layout.is_default() && self.batch == 1
    }

    /// A, B and C as they are stored: those of a batch are one matrix of as many times the rows.
    ///
    /// # Panics
    /// If it is a batch, and has padding.
    pub fn matrices(&self) -> [PaddedMatrix; 3] {
        assert!(self.batch == 1 || self.shape == self.data, "padding of a single GEMM only");
        let stored = |size: [usize; 2], data: [usize; 2], transposed: bool| {
            let of_batch = |[rows, columns]: [usize; 2]| match transposed {
                true => [self.batch * columns, rows],
                false => [self.batch * rows, columns],
            };
            PaddedMatrix { size: of_batch(size), data: of_batch(data) }
        };
        let (shape, data) = (self.shape, self.data);
        [
            stored([shape.m, shape.k], [data.m, data.k], self.layout.a_transposed()),
            stored([shape.k, shape.n], [data.k, data.n], self.layout.b_transposed()),
            stored([shape.m, shape.n], [data.m, data.n], false),
        ]
    }

    /// Of A and of B: elements from one row to the next and from one column to the next, as the
    /// math has them.
    pub fn strides(&self) -> [[usize; 2]; 2] {
        let GemmShape { m, n, k } = self.shape;
        let a = if self.layout.a_transposed() { [1, m] } else { [k, 1] };
        let b = if self.layout.b_transposed() { [1, k] } else { [n, 1] };
        [a, b]
    }

    /// Of its data alone.
    pub fn unpadded(self) -> Self {
        Gemm { shape: self.data, ..self }
    }

    /// Useful floating-point operations: padding does not count.
    pub(super) fn flops(&self) -> f64 {
        self.batch as f64 * self.data.flops()
    }

    /// Bytes that must move, padding included.
    pub(super) fn bytes(&self, precision: Precision) -> f64 {
        self.batch as f64 * self.shape.bytes(precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    const SHAPE: GemmShape = GemmShape { m: 2, n: 3, k: 5 };

    #[test]
    fn matrices_are_as_they_are_stored() {
        let sizes = |layout, batch| {
            let gemm = Gemm { layout, batch, ..Gemm::dense(SHAPE) };
            gemm.matrices().map(|matrix| matrix.size)
        };
        assert_eq!(sizes(GemmLayout::Nn, 1), [[2, 5], [5, 3], [2, 3]]);
        assert_eq!(sizes(GemmLayout::Nt, 1), [[2, 5], [3, 5], [2, 3]]);
        assert_eq!(sizes(GemmLayout::Tn, 4), [[20, 2], [20, 3], [8, 3]]);
        assert_eq!(sizes(GemmLayout::Tt, 4), [[20, 2], [12, 5], [8, 3]]);
        // The last element is the last one stored, whatever the layout.
        for layout in GemmLayout::ALL {
            let [[a_row, a_column], [b_row, b_column]] =
                Gemm { layout, ..Gemm::dense(SHAPE) }.strides();
            assert_eq!(a_row + 4 * a_column, 9);
            assert_eq!(4 * b_row + 2 * b_column, 14);
        }
    }

    #[test]
    fn only_what_is_not_the_default_is_written() {
        let plain = Gemm::dense(SHAPE);
        let written = to_value(plain).unwrap();
        assert_eq!(written, json!({"shape": SHAPE, "data": SHAPE}));
        assert_eq!(from_value::<Gemm>(written).unwrap(), plain);
        let other = Gemm { layout: GemmLayout::Nt, batch: 3, ..plain };
        let written = to_value(other).unwrap();
        assert_eq!((&written["layout"], &written["batch"]), (&json!("nt"), &json!(3)));
        assert_eq!(from_value::<Gemm>(written).unwrap(), other);
    }
}
