//! GEMMs on the host's cores, by the `gemm` crate.

use super::GemmProblem;
use crate::device::cpu::HostGemm;
use crate::ops::verify::{self, POISON};
use crate::ops::{Plan, Verification};
use crate::workload::convert::{narrow, widen};
use crate::workload::{CaseError, DType, GemmShape};
use ::gemm::Parallelism;
use rayon::prelude::*;

/// A GEMM on the host, in float32. A launch includes the conversions: a CPU has no 16-bit GEMM as a
/// GPU has, the `gemm` crate knows fp16 but not bf16, and both have to take the same path.
pub struct CpuGemm {
    pub(crate) problem: GemmProblem<Vec<u16>>,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    parallelism: Parallelism,
}

/// Elements that one task converts: some microseconds of work.
const CHUNK: usize = 1 << 14;
/// Multiplications below which one thread works alone.
const ONE_THREAD: usize = ::gemm::DEFAULT_THREADING_THRESHOLD;

fn multiplications(GemmShape { m, n, k }: GemmShape) -> usize {
    m * n * k
}

impl CpuGemm {
    /// Allocates the float32 operands.
    ///
    /// One thread takes what the `gemm` crate itself would not divide, 48 · 48 · 256
    /// multiplications: waking the others costs more than they save. All of rayon's share the rest.
    pub fn new(problem: GemmProblem<Vec<u16>>) -> Self {
        let small = problem.gemm.batch * multiplications(problem.gemm.shape) < ONE_THREAD;
        let floats = |bits: &[u16]| vec![0.0; bits.len()];
        CpuGemm {
            a: floats(&problem.a),
            b: floats(&problem.b),
            c: floats(&problem.c),
            parallelism: if small { Parallelism::None } else { Parallelism::Rayon(0) },
            problem,
        }
    }

    /// `C = A B` in float32; the GEMMs of a batch share the threads as the parts of one do.
    fn multiply(&mut self) {
        let gemm = self.problem.gemm;
        let GemmShape { m, n, k } = gemm.shape;
        let (a_transposed, b_transposed) = (gemm.layout.a_transposed(), gemm.layout.b_transposed());
        let one = HostGemm { a_transposed, b_transposed, ..HostGemm::of(gemm.shape) };
        match self.parallelism {
            Parallelism::None => {
                let operands = self.a.chunks(m * k).zip(self.b.chunks(k * n));
                for (c, (a, b)) in self.c.chunks_mut(m * n).zip(operands) {
                    one.run(a, b, c, Parallelism::None);
                }
            }
            all => {
                let is_small = multiplications(gemm.shape) < ONE_THREAD;
                let each = if is_small { Parallelism::None } else { all };
                let operands = self.a.par_chunks(m * k).zip(self.b.par_chunks(k * n));
                let gemms = self.c.par_chunks_mut(m * n).zip(operands);
                gemms.for_each(|(c, (a, b))| one.run(a, b, c, each));
            }
        }
    }
}

impl Plan for CpuGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        let GemmProblem { dtype, a, b, .. } = &self.problem;
        let convert = match self.parallelism {
            Parallelism::None => widen,
            _ => par_widen,
        };
        convert(*dtype, a, &mut self.a);
        convert(*dtype, b, &mut self.b);
        self.multiply();
        let GemmProblem { dtype, c, .. } = &mut self.problem;
        match self.parallelism {
            Parallelism::None => narrow(*dtype, &self.c, c),
            _ => c
                .par_chunks_mut(CHUNK)
                .zip(self.c.par_chunks(CHUNK))
                .for_each(|(bits, values)| narrow(*dtype, values, bits)),
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.problem.c.fill(POISON);
        self.launch()?;
        verify::host::gemm(&self.problem)
    }
}

/// [`widen`] on all cores.
fn par_widen(dtype: DType, bits: &[u16], values: &mut [f32]) {
    values
        .par_chunks_mut(CHUNK)
        .zip(bits.par_chunks(CHUNK))
        .for_each(|(values, bits)| widen(dtype, bits, values));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::SHAPES;
    use crate::workload::{Gemm, GemmLayout, convert::to_f32};

    /// Asserts that C is A B, rounded: by the indices of a plain loop.
    fn assert_right(problem: &GemmProblem<Vec<u16>>) {
        let (Gemm { shape, layout, batch, .. }, dtype) = (problem.gemm, problem.dtype);
        let GemmShape { m, n, k } = shape;
        let value = |bits: &[u16], at: usize| f64::from(to_f32(dtype, bits[at]));
        for at in 0..batch * m * n {
            let (of_batch, row, column) = (at / (m * n), at / n % m, at % n);
            let term = |i| {
                let in_a = if layout.a_transposed() { i * m + row } else { row * k + i };
                let in_b = if layout.b_transposed() { column * k + i } else { i * n + column };
                let (in_a, in_b) = (of_batch * m * k + in_a, of_batch * k * n + in_b);
                value(&problem.a, in_a) * value(&problem.b, in_b)
            };
            let sum: f64 = (0..k).map(term).sum();
            let size: f64 = (0..k).map(|i| term(i).abs()).sum();
            let unit_roundoff = 2f64.powi(if dtype == DType::Fp16 { -11 } else { -8 });
            let bound = unit_roundoff * sum.abs() + 1e-5 * size + 1e-7;
            let error = (value(&problem.c, at) - sum).abs();
            assert!(error <= bound, "{:?} {dtype:?} at {at}: {error}", problem.gemm);
        }
    }

    #[test]
    fn gemms_match_float64() {
        let both = |shape| DType::ALL.map(|dtype| (shape, dtype));
        for ([m, n, k], dtype) in SHAPES.into_iter().flat_map(both) {
            let gemm = Gemm::dense(GemmShape { m, n, k });
            let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
            assert_eq!(plan.verify().unwrap().rows, m.min(verify::SAMPLED_ROWS));
            assert_right(&plan.problem);
        }
    }

    #[test]
    fn every_layout_and_batch_matches_float64() {
        // One thread alone, a thread for each GEMM, and all for each.
        for [m, n, k] in [[3, 5, 13], [40, 23, 107], [97, 65, 130]] {
            for layout in GemmLayout::ALL {
                for batch in [1, 3, 8] {
                    let gemm = Gemm { layout, batch, ..Gemm::dense(GemmShape { m, n, k }) };
                    let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, DType::Fp16, 42));
                    let rows = (batch * m).min(verify::SAMPLED_ROWS);
                    assert_eq!(plan.verify().unwrap().rows, rows);
                    assert_right(&plan.problem);
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
        for dtype in DType::ALL {
            let mut dense = CpuGemm::new(GemmProblem::on_host(Gemm::dense(data), dtype, 42));
            let mut padded =
                CpuGemm::new(GemmProblem::on_host(Gemm { shape, ..Gemm::dense(data) }, dtype, 42));
            dense.launch().unwrap();
            padded.launch().unwrap();
            for (r, row) in padded.problem.c.chunks(shape.n).enumerate() {
                let expected = dense.problem.c.chunks(data.n).nth(r).unwrap_or(&[]);
                assert_eq!(&row[..expected.len()], expected, "row {r}");
                assert!(row[expected.len()..].iter().all(|&bits| to_f32(dtype, bits) == 0.0));
            }
        }
    }
}
