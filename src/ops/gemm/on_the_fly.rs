//! A GEMM over tensors that are kept without padding: each launch pads the operands and cuts the
//! result. Only what is padded is copied: A and B where K is, B and C where N is.

use super::{CpuGemm, CublasLtGemm, GemmProblem};
use crate::device::{Algorithm, Cuda, cuda::Tensor};
use crate::ops::resize::resize;
use crate::ops::verify::{self, POISON};
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, DType, Gemm, PaddedMatrix};
use std::rc::Rc;

/// The GEMM on the host.
pub struct CpuGemmOnTheFly {
    dense: GemmProblem<Vec<u16>>,
    padded: CpuGemm,
}

impl CpuGemmOnTheFly {
    /// With its operands.
    pub fn new(gemm: Gemm, dtype: DType, seed: u64) -> Self {
        CpuGemmOnTheFly {
            dense: GemmProblem::on_host(gemm.unpadded(), dtype, seed),
            padded: CpuGemm::new(GemmProblem::on_host(gemm, dtype, seed)),
        }
    }
}

impl Plan for CpuGemmOnTheFly {
    fn launch(&mut self) -> Result<(), CaseError> {
        let (dense, padded) = (&mut self.dense, &mut self.padded.problem);
        let [a, b, c] = padded.gemm.matrices();
        for (matrix, from, to) in [(a, &dense.a, &mut padded.a), (b, &dense.b, &mut padded.b)] {
            if matrix.is_padded() {
                resize(from, matrix.data, to, matrix.size);
            }
        }
        self.padded.launch()?;
        if c.is_padded() {
            resize(&self.padded.problem.c, c.size, &mut self.dense.c, c.data);
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let padded = &mut self.padded.problem;
        let [a, b, c] = padded.gemm.matrices();
        for (matrix, operand) in [(a, &mut padded.a), (b, &mut padded.b)] {
            if matrix.is_padded() {
                operand.fill(POISON);
            }
        }
        padded.c.fill(POISON);
        self.dense.c.fill(POISON);
        self.launch()?;
        if !c.is_padded() {
            self.dense.c.copy_from_slice(&self.padded.problem.c);
        }
        verify::host::gemm(&self.dense)
    }
}

/// The GEMM by cuBLASLt.
pub struct CudaGemmOnTheFly {
    cuda: Rc<Cuda>,
    dense: GemmProblem<Tensor>,
    padded: CublasLtGemm,
}

impl CudaGemmOnTheFly {
    /// Around a GEMM of padded tensors.
    pub fn new(cuda: &Rc<Cuda>, padded: CublasLtGemm, seed: u64) -> Result<Self, CaseError> {
        let GemmProblem { gemm, dtype, .. } = padded.problem;
        let dense = GemmProblem::on_cuda(cuda, gemm.unpadded(), dtype, seed)?;
        Ok(CudaGemmOnTheFly { cuda: cuda.clone(), dense, padded })
    }

    fn cut(&mut self, c: PaddedMatrix) -> Result<(), CaseError> {
        let (from, to) = (&self.padded.problem.c, &mut self.dense.c);
        Ok(self.cuda.kernels().resize([from], [to], c.size, c.data)?)
    }
}

impl Plan for CudaGemmOnTheFly {
    fn launch(&mut self) -> Result<(), CaseError> {
        let (dense, padded) = (&self.dense, &mut self.padded.problem);
        let [a, b, c] = padded.gemm.matrices();
        for (matrix, from, to) in [(a, &dense.a, &mut padded.a), (b, &dense.b, &mut padded.b)] {
            if matrix.is_padded() {
                self.cuda.kernels().resize([from], [to], matrix.data, matrix.size)?;
            }
        }
        self.padded.launch()?;
        if c.is_padded() { self.cut(c) } else { Ok(()) }
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let padded = &mut self.padded.problem;
        let [a, b, c] = padded.gemm.matrices();
        for (matrix, operand) in [(a, &mut padded.a), (b, &mut padded.b)] {
            if matrix.is_padded() {
                verify::cuda::poison(&self.cuda, operand)?;
            }
        }
        verify::cuda::poison(&self.cuda, &mut padded.c)?;
        verify::cuda::poison(&self.cuda, &mut self.dense.c)?;
        self.launch()?;
        if !c.is_padded() {
            self.cut(c)?;
        }
        verify::cuda::gemm(&self.cuda, &self.dense)
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.padded.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::GemmShape;

    #[test]
    fn copies_within_the_launch_change_nothing() {
        let data = GemmShape { m: 33, n: 65, k: 107 };
        for shape in [GemmShape { k: 112, ..data }, GemmShape { n: 72, ..data }] {
            for dtype in DType::ALL {
                let mut dense = CpuGemm::new(GemmProblem::on_host(Gemm::dense(data), dtype, 42));
                dense.launch().unwrap();
                let mut plan = CpuGemmOnTheFly::new(Gemm { shape, ..Gemm::dense(data) }, dtype, 42);
                plan.verify().unwrap();
                assert_eq!(plan.dense.c, dense.problem.c);
            }
        }
    }

    #[test]
    fn a_copy_that_is_left_out_shows() {
        let data = GemmShape { m: 33, n: 65, k: 107 };
        let gemm = Gemm { shape: GemmShape { k: 112, ..data }, ..Gemm::dense(data) };
        let mut plan = CpuGemmOnTheFly::new(gemm, DType::Fp16, 42);
        plan.dense.b.fill(0);
        plan.launch().unwrap();
        // The operands of the padded GEMM are those of the launch, not those it was made with.
        assert!(plan.padded.problem.c.iter().all(|&bits| bits & 0x7fff == 0));
    }
}
