//! GEMMs on the host's cores, by the `gemm` crate.

use super::GemmProblem;
use crate::device::cpu::HostGemm;
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::convert::{narrow, widen};
use crate::workload::{CaseError, DType, Gemm, GemmShape, HostArray, Precision};
use ::gemm::Parallelism;
use rayon::prelude::*;

/// A GEMM on the host, in float32. A launch on 16-bit numbers includes the conversions: a CPU has
/// no such GEMM as a GPU has, the `gemm` crate knows fp16 but not bf16, and both have to take the
/// same path.
pub struct CpuGemm {
    pub(crate) problem: GemmProblem<HostArray>,
    /// A, B and C of 16 bits in float32.
    wide: [Vec<f32>; 3],
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
    pub fn new(problem: GemmProblem<HostArray>) -> Self {
        let small = problem.gemm.batch * multiplications(problem.gemm.shape) < ONE_THREAD;
        let wide = |array: &HostArray| match array {
            HostArray::Half(_, bits) => vec![0.0; bits.len()],
            HostArray::Single(_) | HostArray::E4m3(_) => vec![],
        };
        CpuGemm {
            wide: [wide(&problem.a), wide(&problem.b), wide(&problem.c)],
            parallelism: if small { Parallelism::None } else { Parallelism::Rayon(0) },
            problem,
        }
    }

    /// Why the CPU does not multiply in this precision.
    pub fn refusal(precision: Precision) -> Option<String> {
        let needs = match precision {
            Precision::Fp16 | Precision::Bf16 | Precision::Fp32 => return None,
            Precision::Tf32 => "is what tensor cores make of float32",
            Precision::Fp8E4m3 => "needs the tensor cores of an Ada or Hopper GPU",
        };
        let name = precision.name();
        Some(format!("{name} {needs}: the CPU multiplies fp16, bf16 and fp32"))
    }
}

/// `C = A B` in float32; the GEMMs of a batch share the threads as the parts of one do.
fn multiply(gemm: Gemm, [a, b]: [&[f32]; 2], c: &mut [f32], parallelism: Parallelism) {
    let GemmShape { m, n, k } = gemm.shape;
    let (a_transposed, b_transposed) = (gemm.layout.a_transposed(), gemm.layout.b_transposed());
    let one = HostGemm { a_transposed, b_transposed, ..HostGemm::of(gemm.shape) };
    match parallelism {
        Parallelism::None => {
            let operands = a.chunks(m * k).zip(b.chunks(k * n));
            for (c, (a, b)) in c.chunks_mut(m * n).zip(operands) {
                one.run(a, b, c, Parallelism::None);
            }
        }
        all => {
            let is_small = multiplications(gemm.shape) < ONE_THREAD;
            let each = if is_small { Parallelism::None } else { all };
            let operands = a.par_chunks(m * k).zip(b.par_chunks(k * n));
            let gemms = c.par_chunks_mut(m * n).zip(operands);
            gemms.for_each(|(c, (a, b))| one.run(a, b, c, each));
        }
    }
}

impl Plan for CpuGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        let GemmProblem { gemm, dtype, a, b, c } = &mut self.problem;
        let alone = matches!(self.parallelism, Parallelism::None);
        match (a, b, c) {
            (HostArray::Single(a), HostArray::Single(b), HostArray::Single(c)) => {
                multiply(*gemm, [a, b], c, self.parallelism);
            }
            (HostArray::Half(dtype, a), HostArray::Half(_, b), HostArray::Half(_, c)) => {
                let [wide_a, wide_b, wide_c] = &mut self.wide;
                let convert = if alone { widen } else { par_widen };
                convert(*dtype, a, wide_a);
                convert(*dtype, b, wide_b);
                multiply(*gemm, [wide_a, wide_b], wide_c, self.parallelism);
                let convert = if alone { narrow } else { par_narrow };
                convert(*dtype, wide_c, c);
            }
            _ => {
                let of_two = || "A, B and C are of different types".to_owned();
                return Err(CaseError::unsupported(Self::refusal(*dtype).unwrap_or_else(of_two)));
            }
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::host::poison(&mut self.problem.c);
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

/// [`narrow`] on all cores.
fn par_narrow(dtype: DType, values: &[f32], bits: &mut [u16]) {
    bits.par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK))
        .for_each(|(bits, values)| narrow(dtype, values, bits));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::SHAPES;
    use crate::workload::GemmLayout;

    const PRECISIONS: [Precision; 3] = [Precision::Fp16, Precision::Bf16, Precision::Fp32];

    /// Asserts that C is A B, rounded: by the indices of a plain loop.
    fn assert_right(problem: &GemmProblem<HostArray>) {
        let (Gemm { shape, layout, batch, .. }, dtype) = (problem.gemm, problem.dtype);
        let GemmShape { m, n, k } = shape;
        let value = |array: &HostArray, at: usize| f64::from(array.get(at));
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
            let unit_roundoff = 2f64.powi(match dtype {
                Precision::Fp16 => -11,
                Precision::Bf16 => -8,
                _ => -24,
            });
            let bound = unit_roundoff * sum.abs() + 1e-5 * size + 1e-7;
            let error = (value(&problem.c, at) - sum).abs();
            assert!(error <= bound, "{:?} {dtype:?} at {at}: {error}", problem.gemm);
        }
    }

    #[test]
    fn gemms_match_float64() {
        let each = |shape| PRECISIONS.map(|dtype| (shape, dtype));
        for ([m, n, k], dtype) in SHAPES.into_iter().flat_map(each) {
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
                for (batch, dtype) in [(1, Precision::Fp16), (3, Precision::Fp32)]
                    .into_iter()
                    .chain([(3, Precision::Fp16), (8, Precision::Fp16)])
                {
                    let gemm = Gemm { layout, batch, ..Gemm::dense(GemmShape { m, n, k }) };
                    let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
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
        for dtype in PRECISIONS {
            let mut alone = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
            assert!(matches!(alone.parallelism, Parallelism::Rayon(0)));
            let mut shared = CpuGemm::new(GemmProblem::on_host(gemm, dtype, 42));
            alone.parallelism = Parallelism::None;
            alone.launch().unwrap();
            shared.launch().unwrap();
            assert_eq!(alone.problem.c, shared.problem.c);
        }
    }

    #[test]
    fn padding_changes_nothing() {
        let data = GemmShape { m: 33, n: 107, k: 107 };
        let shape = GemmShape { m: 40, n: 112, k: 128 };
        for dtype in PRECISIONS {
            let mut dense = CpuGemm::new(GemmProblem::on_host(Gemm::dense(data), dtype, 42));
            let mut padded =
                CpuGemm::new(GemmProblem::on_host(Gemm { shape, ..Gemm::dense(data) }, dtype, 42));
            dense.launch().unwrap();
            padded.launch().unwrap();
            let (padded, dense) = (padded.problem.c.values(), dense.problem.c.values());
            for (r, row) in padded.chunks(shape.n).enumerate() {
                let expected = dense.chunks(data.n).nth(r).unwrap_or(&[]);
                assert_eq!(&row[..expected.len()], expected, "row {r}");
                assert!(row[expected.len()..].iter().all(|&value| value == 0.0));
            }
        }
    }

    #[test]
    fn what_a_cpu_does_not_multiply_is_refused() {
        for (precision, why) in [(Precision::Tf32, "tensor cores"), (Precision::Fp8E4m3, "Hopper")]
        {
            let refusal = CpuGemm::refusal(precision).unwrap();
            assert!(refusal.starts_with(precision.name()) && refusal.contains(why), "{refusal}");
        }
        assert!(PRECISIONS.into_iter().all(|precision| CpuGemm::refusal(precision).is_none()));
    }
}
