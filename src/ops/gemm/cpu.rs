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

impl CpuGemm {
    /// Allocates the float32 operands.
    ///
    /// One thread takes what the `gemm` crate itself would not divide, 48 · 48 · 256
    /// multiplications: waking the others costs more than they save. All of rayon's share the rest.
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
}

impl Plan for CpuGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        let GemmProblem { gemm, dtype, a, b, c } = &mut self.problem;
        let host_gemm = HostGemm::of(gemm.shape);
        match self.parallelism {
            Parallelism::None => {
                widen(*dtype, a, &mut self.a);
                widen(*dtype, b, &mut self.b);
                host_gemm.run(&self.a, &self.b, &mut self.c, Parallelism::None);
                narrow(*dtype, &self.c, c);
            }
            parallelism => {
                par_widen(*dtype, a, &mut self.a);
                par_widen(*dtype, b, &mut self.b);
                host_gemm.run(&self.a, &self.b, &mut self.c, parallelism);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::SHAPES;
    use crate::workload::{Gemm, convert::to_f32};

    #[test]
    fn gemms_match_float64() {
        let both = |shape| DType::ALL.map(|dtype| (shape, dtype));
        for ([m, n, k], dtype) in SHAPES.into_iter().flat_map(both) {
            let gemm = Gemm::dense(GemmShape { m, n, k });
            let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
            assert_eq!(plan.verify().unwrap().rows, m.min(verify::SAMPLED_ROWS));
            let value = |bits: &[u16], at: usize| f64::from(to_f32(dtype, bits[at]));
            let problem = &plan.problem;
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let term = |i| value(&problem.a, row * k + i) * value(&problem.b, i * n + column);
                let sum: f64 = (0..k).map(term).sum();
                let size: f64 = (0..k).map(|i| term(i).abs()).sum();
                let unit_roundoff = 2f64.powi(if dtype == DType::Fp16 { -11 } else { -8 });
                let bound = unit_roundoff * sum.abs() + 1e-5 * size + 1e-7;
                let error = (value(&problem.c, row * n + column) - sum).abs();
                assert!(error <= bound, "{m}x{n}x{k} {dtype:?} ({row}, {column}): {error}");
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
