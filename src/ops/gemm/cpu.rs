//! Products on the host's cores, by the `gemm` crate.

use super::GemmProblem;
use crate::device::error::CaseError;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify::{self, POISON};
use crate::workload::convert::{narrow, widen};
use crate::workload::shape::{DType, GemmShape};
use ::gemm::Parallelism;
use rayon::prelude::*;

/// A product on the host, in float32.
///
/// A launch widens both operands, multiplies and narrows the result. The conversions belong to it: a CPU has no
/// 16-bit product as a GPU has, the `gemm` crate knows fp16 but not bf16, and both have to take the same path.
pub struct CpuGemm {
    problem: GemmProblem<Vec<u16>>,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    parallelism: Parallelism,
}

/// Elements that one task converts: some microseconds of work.
const CHUNK: usize = 1 << 14;

impl CpuGemm {
    /// Allocates the float32 operands. (Below them, the `gemm` crate packs panels into buffers of its own.)
    ///
    /// One thread takes what the `gemm` crate itself would not divide, 48 · 48 · 256 multiplications: waking the
    /// others costs more than they save. All of rayon's threads share the rest.
    pub fn new(problem: GemmProblem<Vec<u16>>) -> Self {
        let GemmShape { m, n, k } = problem.gemm.shape;
        let small = m * n * k < ::gemm::DEFAULT_THREADING_THRESHOLD;
        CpuGemm {
            a: vec![0.0; m * k],
            b: vec![0.0; k * n],
            c: vec![0.0; m * n],
            parallelism: if small { Parallelism::None } else { Parallelism::Rayon(0) },
            problem,
        }
    }

    /// The operands, and the result of the last launch.
    pub fn problem(&self) -> &GemmProblem<Vec<u16>> {
        &self.problem
    }

    /// The same, to write to.
    pub(super) fn problem_mut(&mut self) -> &mut GemmProblem<Vec<u16>> {
        &mut self.problem
    }
}

impl Plan for CpuGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        let GemmProblem { gemm, dtype, a, b, c } = &mut self.problem;
        let product = Product::of(gemm.shape);
        match self.parallelism {
            Parallelism::None => {
                widen(*dtype, a, &mut self.a);
                widen(*dtype, b, &mut self.b);
                product.run(&self.a, &self.b, &mut self.c, Parallelism::None);
                narrow(*dtype, &self.c, c);
            }
            parallelism => {
                par_widen(*dtype, a, &mut self.a);
                par_widen(*dtype, b, &mut self.b);
                product.run(&self.a, &self.b, &mut self.c, parallelism);
                c.par_chunks_mut(CHUNK)
                    .zip(self.c.par_chunks(CHUNK))
                    .for_each(|(bits, values)| narrow(*dtype, values, bits));
            }
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.problem.c.fill(POISON);
        self.launch()?;
        verify::host_gemm(&self.problem)
    }
}

/// [`widen`] on all cores.
fn par_widen(dtype: DType, bits: &[u16], values: &mut [f32]) {
    values
        .par_chunks_mut(CHUNK)
        .zip(bits.par_chunks(CHUNK))
        .for_each(|(values, bits)| widen(dtype, bits, values));
}

/// A float32 product of contiguous row-major matrices, `C = scale · A B`.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// A is `[m, k]`, B `[k, n]`, C `[m, n]`.
    pub shape: GemmShape,
    /// B is stored as `[n, k]`.
    pub b_transposed: bool,
    /// Add the product to C, instead of replacing C by it.
    pub accumulate: bool,
    /// Factor of the product.
    pub scale: f32,
}

impl Product {
    /// `C = A B`.
    pub fn of(shape: GemmShape) -> Self {
        Product { shape, b_transposed: false, accumulate: false, scale: 1.0 }
    }

    /// Multiplies.
    ///
    /// # Panics
    /// If a slice does not have the elements of its matrix.
    pub fn run(self, a: &[f32], b: &[f32], c: &mut [f32], parallelism: Parallelism) {
        let GemmShape { m, n, k } = self.shape;
        let elements = [m.checked_mul(k), k.checked_mul(n), m.checked_mul(n)];
        assert_eq!([a, b, &*c].map(|matrix| Some(matrix.len())), elements);
        let (b_column, b_row) = if self.b_transposed { (k, 1) } else { (1, n) };
        // SAFETY: the strides address each matrix contiguously, and the assertion says that its slice holds it
        // whole; C is borrowed exclusively, so it overlaps neither operand.
        unsafe {
            ::gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                self.accumulate,
                a.as_ptr(),
                1,
                k as isize,
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
mod tests {
    use super::*;
    use crate::workload::convert::to_f32;
    use crate::workload::operation::Gemm;
    use crate::workload::philox::normal;

    const SHAPES: [[usize; 3]; 8] = [
        [1, 1, 1],
        [1, 64, 3],
        [65, 1, 107],
        [3, 5, 130],
        [16, 16, 8],
        [63, 129, 107],
        [130, 96, 65],
        [96, 130, 112],
    ];

    #[test]
    fn products_match_float64() {
        for ([m, n, k], dtype) in SHAPES
            .into_iter()
            .flat_map(|shape| [DType::Fp16, DType::Bf16].map(|dtype| (shape, dtype)))
        {
            let gemm = Gemm::dense(GemmShape { m, n, k });
            let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
            plan.launch().unwrap();
            let value = |bits: &[u16], at: usize| f64::from(to_f32(dtype, bits[at]));
            let problem = plan.problem();
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let terms = (0..k)
                    .map(|i| value(&problem.a, row * k + i) * value(&problem.b, i * n + column));
                let (sum, size) = terms
                    .fold((0.0, 0.0), |(sum, size), term: f64| (sum + term, size + term.abs()));
                let unit_roundoff =
                    if dtype == DType::Fp16 { 2f64.powi(-11) } else { 2f64.powi(-8) };
                let bound = unit_roundoff * sum.abs() + 1e-5 * size + 1e-7;
                let error = (value(&problem.c, row * n + column) - sum).abs();
                assert!(
                    error <= bound,
                    "{m}x{n}x{k} {dtype:?} ({row}, {column}): {error} > {bound}"
                );
            }
        }
    }

    #[test]
    fn every_form_of_a_product_matches_plain_loops() {
        for [m, n, k] in SHAPES {
            for (b_transposed, accumulate) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let random = |tensor, len: usize| {
                    (0..len).map(|i| normal(1, tensor, i as u64)).collect::<Vec<f32>>()
                };
                let (a, b) = (random(0, m * k), random(1, k * n));
                // What is replaced may hold anything.
                let before = if accumulate { random(2, m * n) } else { vec![f32::NAN; m * n] };
                let mut c = before.clone();
                let product =
                    Product { shape: GemmShape { m, n, k }, b_transposed, accumulate, scale: 0.5 };
                product.run(&a, &b, &mut c, Parallelism::None);
                for (at, &result) in c.iter().enumerate() {
                    let (row, column) = (at / n, at % n);
                    let sum: f64 = (0..k)
                        .map(|i| {
                            let b_at = if b_transposed { column * k + i } else { i * n + column };
                            f64::from(a[row * k + i]) * f64::from(b[b_at])
                        })
                        .sum();
                    let expected = 0.5 * sum + if accumulate { f64::from(before[at]) } else { 0.0 };
                    assert!(
                        (f64::from(result) - expected).abs() < 1e-4,
                        "{m}x{n}x{k}, {row}, {column}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_thread_and_many_agree() {
        let gemm = Gemm::dense(GemmShape { m: 97, n: 101, k: 103 });
        let mut alone = CpuGemm::new(GemmProblem::on_host(gemm, DType::Fp16, 42));
        assert!(matches!(alone.parallelism, Parallelism::Rayon(0)));
        let mut shared = CpuGemm::new(GemmProblem::on_host(gemm, DType::Fp16, 42));
        alone.parallelism = Parallelism::None;
        alone.launch().unwrap();
        shared.launch().unwrap();
        assert_eq!(alone.problem.c, shared.problem.c);
    }

    #[test]
    fn padding_changes_nothing() {
        let data = GemmShape { m: 33, n: 107, k: 107 };
        let shape = GemmShape { m: 40, n: 112, k: 128 };
        for dtype in [DType::Fp16, DType::Bf16] {
            let mut dense = CpuGemm::new(GemmProblem::on_host(Gemm::dense(data), dtype, 42));
            let mut padded = CpuGemm::new(GemmProblem::on_host(Gemm { shape, data }, dtype, 42));
            dense.launch().unwrap();
            padded.launch().unwrap();
            for (r, row) in padded.problem.c.chunks(shape.n).enumerate() {
                let expected = dense.problem.c.chunks(data.n).nth(r).unwrap_or(&[]);
                assert_eq!(&row[..expected.len()], expected, "row {r}");
                assert!(row[expected.len()..].iter().all(|&bits| to_f32(dtype, bits) == 0.0));
            }
        }
    }

    #[test]
    fn every_shape_passes_its_check() {
        for [m, n, k] in SHAPES {
            let gemm = Gemm::dense(GemmShape { m, n, k });
            let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, DType::Bf16, 42));
            let verification = plan.verify().unwrap();
            assert_eq!(verification.rows, m.min(verify::SAMPLED_ROWS));
        }
    }
}
