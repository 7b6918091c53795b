//! Several GEMMs that are one launch: by one grouped call of cuBLAS, or side by side.

use super::{CpuGemm, CublasLtGemm, GemmProblem};
use crate::device::Cuda;
use crate::device::cuda::{Branches, DeviceArray, Grouped, Matrix, Strided};
use crate::ops::plan::worst;
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, Gemm, GemmShape, Precision};
use rayon::prelude::*;
use std::rc::Rc;

/// GEMMs on the host at the same time: threads of rayon's that one leaves idle take up the next.
pub struct CpuConcurrent(pub Vec<CpuGemm>);

impl Plan for CpuConcurrent {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.0.par_iter_mut().try_for_each(|part| part.launch())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.0.iter_mut().for_each(|part| verify::host::poison(&mut part.problem.c));
        self.launch()?;
        worst(self.0.iter().map(|part| verify::host::gemm(&part.problem)))
    }
}

/// GEMMs in one call of cuBLAS, a group each.
pub struct CublasGrouped {
    cuda: Rc<Cuda>,
    parts: Vec<GemmProblem<DeviceArray>>,
    /// Holds the addresses of the parts' tensors.
    grouped: Grouped,
}

impl CublasGrouped {
    /// Unsupported by a cuBLAS older than 12.5.
    ///
    /// # Panics
    /// If one is a batch, or of transposed matrices: no experiment has such groups.
    pub fn new(
        cuda: &Rc<Cuda>,
        parts: &[Gemm],
        dtype: Precision,
        seed: u64,
    ) -> Result<Self, CaseError> {
        assert!(
            parts.iter().all(Gemm::is_plain),
            "each is one GEMM of matrices as the math has them"
        );
        let problem = |&gemm: &Gemm| GemmProblem::on_cuda(cuda, gemm, dtype, seed);
        let parts = parts.iter().map(problem).collect::<Result<Vec<_>, _>>()?;
        let operands: Vec<_> = parts.iter().map(operands).collect();
        let grouped = Grouped::new(cuda.stream(), &operands, dtype)?;
        Ok(CublasGrouped { cuda: cuda.clone(), parts, grouped })
    }
}

/// A GEMM as cuBLAS is asked for it: shape, A, B and C.
fn operands(problem: &GemmProblem<DeviceArray>) -> (Strided, [Matrix<'_>; 3]) {
    let GemmProblem { gemm, a, b, c, .. } = problem;
    let GemmShape { m, n, k } = gemm.shape;
    let matrix = |array, columns| Matrix::array(array, columns, 0);
    (Strided { m, n, k, batch: 1, alpha: 1.0 }, [matrix(a, k), matrix(b, n), matrix(c, n)])
}

impl Plan for CublasGrouped {
    fn launch(&mut self) -> Result<(), CaseError> {
        let tensors = self.parts.iter().map(|part| [&part.a, &part.b, &part.c]);
        Ok(self.cuda.blas().grouped(&self.grouped, tensors)?)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        for part in &mut self.parts {
            verify::cuda::poison_array(&self.cuda, &mut part.c)?;
        }
        self.launch()?;
        worst(self.parts.iter().map(|part| verify::cuda::gemm(&self.cuda, part)))
    }
}

/// GEMMs on streams of their own, which start together and are waited for together.
pub struct CudaConcurrent {
    cuda: Rc<Cuda>,
    /// Dropped before the operands: it waits for the streams that work on them.
    branches: Branches,
    parts: Vec<CublasLtGemm>,
}

impl CudaConcurrent {
    /// Of these GEMMs.
    pub fn new(cuda: &Rc<Cuda>, parts: Vec<CublasLtGemm>) -> Result<Self, CaseError> {
        let branches = Branches::new(cuda, parts.len())?;
        Ok(CudaConcurrent { cuda: cuda.clone(), parts, branches })
    }
}

impl Plan for CudaConcurrent {
    fn launch(&mut self) -> Result<(), CaseError> {
        let parts = &self.parts;
        self.branches.run(&self.cuda, |branch, lt| parts[branch].launch_with(lt))
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        for part in &mut self.parts {
            verify::cuda::poison_array(&self.cuda, &mut part.problem.c)?;
        }
        self.launch()?;
        worst(self.parts.iter().map(|part| verify::cuda::gemm(&self.cuda, &part.problem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::DType;

    #[test]
    fn gemms_side_by_side_are_those_one_by_one() {
        let gemm = |n| Gemm::dense(GemmShape { m: 130, n, k: 107 });
        let parts = [gemm(128), gemm(1), gemm(107)];
        let plan = |gemm| CpuGemm::new(GemmProblem::on_host(gemm, DType::Bf16, 42));
        let mut together = CpuConcurrent(parts.map(plan).into());
        let verification = together.verify().unwrap();
        assert_eq!(verification.rows, 3 * verify::SAMPLED_ROWS);
        for (part, gemm) in together.0.iter().zip(parts) {
            let mut alone = plan(gemm);
            alone.launch().unwrap();
            assert_eq!(part.problem.c, alone.problem.c);
        }
    }
}
