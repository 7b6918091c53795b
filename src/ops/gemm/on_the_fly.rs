//! A GEMM over tensors that are kept without padding: each launch pads the operands and cuts the
//! result. Only what is padded is copied: A and B where K is, B and C where N is.

use super::{CpuGemm, CublasLtGemm, GemmProblem};
use crate::device::{Algorithm, Cuda, cuda::DeviceArray};
use crate::ops::resize::resize_array;
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, Gemm, HostArray, PaddedMatrix, Precision};
use std::rc::Rc;

/// The GEMM on the host.
pub struct CpuGemmOnTheFly {
    dense: GemmProblem<HostArray>,
    padded: CpuGemm,
}

impl CpuGemmOnTheFly {
    /// With its operands.
    pub fn new(gemm: Gemm, dtype: Precision, seed: u64) -> Self {
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
                resize_array(from, matrix.data, to, matrix.size);
            }
        }
        self.padded.launch()?;
        if c.is_padded() {
            resize_array(&self.padded.problem.c, c.size, &mut self.dense.c, c.data);
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let padded = &mut self.padded.problem;
        let [a, b, c] = padded.gemm.matrices();
        for (matrix, operand) in [(a, &mut padded.a), (b, &mut padded.b)] {
            if matrix.is_padded() {
                verify::host::poison(operand);
            }
        }
        verify::host::poison(&mut padded.c);
        verify::host::poison(&mut self.dense.c);
        self.launch()?;
        if !c.is_padded() {
            self.dense.c.clone_from(&self.padded.problem.c);
        }
        verify::host::gemm(&self.dense)
    }
}

/// The GEMM by cuBLASLt.
pub struct CudaGemmOnTheFly {
    cuda: Rc<Cuda>,
    dense: GemmProblem<DeviceArray>,
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
                verify::cuda::poison_array(&self.cuda, operand)?;
            }
        }
        verify::cuda::poison_array(&self.cuda, &mut padded.c)?;
        verify::cuda::poison_array(&self.cuda, &mut self.dense.c)?;
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
    use crate::workload::{GemmLayout, GemmShape};

    const ON_CPU: [Precision; 3] = [Precision::Fp16, Precision::Bf16, Precision::Fp32];

    #[test]
    fn copies_within_the_launch_change_nothing() {
        let data = GemmShape { m: 33, n: 65, k: 107 };
        for shape in [GemmShape { k: 112, ..data }, GemmShape { n: 72, ..data }] {
            for (dtype, layout) in
                ON_CPU.into_iter().flat_map(|d| GemmLayout::ALL.map(|layout| (d, layout)))
            {
                let gemm = Gemm { shape, layout, ..Gemm::dense(data) };
                let mut dense = CpuGemm::new(GemmProblem::on_host(gemm.unpadded(), dtype, 42));
                dense.launch().unwrap();
                let mut plan = CpuGemmOnTheFly::new(gemm, dtype, 42);
                plan.verify().unwrap();
                assert_eq!(plan.dense.c, dense.problem.c);
            }
        }
    }

    #[test]
    fn a_copy_that_is_left_out_shows() {
        let data = GemmShape { m: 33, n: 65, k: 107 };
        let gemm = Gemm { shape: GemmShape { k: 112, ..data }, ..Gemm::dense(data) };
        let mut plan = CpuGemmOnTheFly::new(gemm, Precision::Fp16, 42);
        plan.dense.b = HostArray::zeros(plan.dense.b.element(), plan.dense.b.len());
        plan.launch().unwrap();
        // The operands of the padded GEMM are those of the launch, not those it was made with.
        assert!(plan.padded.problem.c.values().iter().all(|&value| value == 0.0));
    }
}
