//! GEMMs on the host's cores, by the `gemm` crate.

use crate::workload::GemmShape;
use gemm::Parallelism;

/// A float32 GEMM of contiguous row-major matrices, `C = scale · A B`.
#[derive(Clone, Copy)]
pub struct HostGemm {
    /// A is `[m, k]`, B `[k, n]`, C `[m, n]`.
    pub shape: GemmShape,
    /// A is stored as `[k, m]`.
    pub a_transposed: bool,
    /// B is stored as `[n, k]`.
    pub b_transposed: bool,
    /// Add to C, instead of replacing it.
    pub accumulate: bool,
    /// Factor of A B.
    pub scale: f32,
}

impl HostGemm {
    /// `C = A B`.
    pub fn of(shape: GemmShape) -> Self {
        let (a_transposed, b_transposed) = (false, false);
        HostGemm { shape, a_transposed, b_transposed, accumulate: false, scale: 1.0 }
    }

    pub fn run(self, a: &[f32], b: &[f32], c: &mut [f32], parallelism: Parallelism) {
        let GemmShape { m, n, k } = self.shape;
        let elements = [m.checked_mul(k), k.checked_mul(n), m.checked_mul(n)];
        assert_eq!([a, b, &*c].map(|matrix| Some(matrix.len())), elements);
        let (a_column, a_row) = if self.a_transposed { (m, 1) } else { (1, k) };
        let (b_column, b_row) = if self.b_transposed { (k, 1) } else { (1, n) };
        // SAFETY: the strides address each matrix contiguously, and the assertion says that its
        // slice holds it whole; C is borrowed exclusively, so it overlaps neither operand.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                self.accumulate,
                a.as_ptr(),
                a_column as isize,
                a_row as isize,
                b.as_ptr(),
                b_column as isize,
                b_row as isize,
                if self.accumulate { 1.0 } else { 0.0 },
                self.scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

#[cfg(test)]
pub(crate) const SHAPES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [1, 64, 3],
    [65, 1, 107],
    [3, 5, 130],
    [16, 16, 8],
    [63, 129, 107],
    [130, 96, 65],
    [96, 130, 112],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::philox::normal;

    #[test]
    fn every_form_of_a_gemm_matches_plain_loops() {
        let forms = (0..8).map(|form| [form & 1, form & 2, form & 4].map(|bit| bit > 0));
        for ([m, n, k], [a_transposed, b_transposed, accumulate]) in
            SHAPES.into_iter().flat_map(|shape| forms.clone().map(move |form| (shape, form)))
        {
            let random = |tensor, len: usize| {
                (0..len).map(|i| normal(1, tensor, i as u64)).collect::<Vec<f32>>()
            };
            let (a, b) = (random(0, m * k), random(1, k * n));
            // What is replaced may hold anything.
            let before = if accumulate { random(2, m * n) } else { vec![f32::NAN; m * n] };
            let mut c = before.clone();
            let shape = GemmShape { m, n, k };
            let gemm = HostGemm { shape, a_transposed, b_transposed, accumulate, scale: 0.5 };
            gemm.run(&a, &b, &mut c, Parallelism::None);
            for (at, &result) in c.iter().enumerate() {
                let (row, column) = (at / n, at % n);
                let a_at = |i| if a_transposed { i * m + row } else { row * k + i };
                let b_at = |i| if b_transposed { column * k + i } else { i * n + column };
                let term = |i| f64::from(a[a_at(i)]) * f64::from(b[b_at(i)]);
                let sum: f64 = (0..k).map(term).sum();
                let expected = 0.5 * sum + if accumulate { f64::from(before[at]) } else { 0.0 };
                let error = (f64::from(result) - expected).abs();
                assert!(error < 1e-4, "{m}x{n}x{k}, {row}, {column}");
            }
        }
    }
}
