//! The GEMM by cuBLASLt: the algorithm is chosen once, by the library's heuristic or by trying all
//! it offers.

use super::GemmProblem;
use crate::device::cuda::{Graph, Lt, Matmul, Tensor};
use crate::device::kernel::Algorithm;
use crate::device::{Cuda, DeviceError};
use crate::ops::error::CaseError;
use crate::ops::plan::{Plan, Verification};
use crate::ops::verify;
use crate::workload::operation::Gemm;
use crate::workload::shape::DType;
use std::rc::Rc;

/// A GEMM bound to its buffers and its algorithm.
pub struct CublasLtGemm {
    cuda: Rc<Cuda>,
    problem: GemmProblem<Tensor>,
    matmul: Matmul,
}

impl GemmProblem<Tensor> {
    /// Operands in device memory: A and B seeded normal numbers, C not initialised.
    pub fn on_cuda(cuda: &Cuda, gemm: Gemm, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let (shape, data) = (gemm.shape, gemm.data);
        let matrix = |number, size, data| cuda.normal(dtype, (seed, number), size, data);
        let a = matrix(0, (shape.m, shape.k), (data.m, data.k))?;
        let b = matrix(1, (shape.k, shape.n), (data.k, data.n))?;
        let c = cuda.alloc(shape.m * shape.n)?;
        Ok(GemmProblem { gemm, dtype, a, b, c })
    }
}

impl CublasLtGemm {
    /// Allocates and fills the operands, for the algorithm that the heuristic holds for the best.
    pub fn new(cuda: &Rc<Cuda>, gemm: Gemm, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let matmul = cuda.lt().algorithms(gemm.shape, dtype, 1)?.swap_remove(0);
        Self::with(cuda, gemm, dtype, seed, matmul)
    }

    /// Allocates and fills the operands, for an algorithm of
    /// [`crate::device::cuda::Lt::algorithms`].
    pub fn with(
        cuda: &Rc<Cuda>,
        gemm: Gemm,
        dtype: DType,
        seed: u64,
        matmul: Matmul,
    ) -> Result<Self, CaseError> {
        let problem = GemmProblem::on_cuda(cuda, gemm, dtype, seed)?;
        Ok(CublasLtGemm { cuda: cuda.clone(), problem, matmul })
    }

    /// The fastest of all algorithms that the heuristic offers, by a short timing of each.
    pub fn fastest(
        cuda: &Rc<Cuda>,
        gemm: Gemm,
        dtype: DType,
        seed: u64,
    ) -> Result<Matmul, CaseError> {
        let offered = cuda.lt().algorithms(gemm.shape, dtype, MAX_ALGORITHMS)?;
        let mut plan = Self::with(cuda, gemm, dtype, seed, offered[0].clone())?;
        let mut best: Option<(f64, Matmul)> = None;
        for matmul in offered {
            plan.matmul = matmul;
            // One that cannot be launched is not the fastest; the plan of the best is verified like
            // any other.
            let Ok(time_ns) = plan.time_ns() else { continue };
            if best.as_ref().is_none_or(|(least_ns, _)| time_ns < *least_ns) {
                best = Some((time_ns, plan.matmul.clone()));
            }
        }
        best.map(|(_, matmul)| matmul)
            .ok_or_else(|| CaseError::unsupported("no algorithm of cuBLASLt's could be launched"))
    }

    /// The operands, and the result of the last launch.
    pub(super) fn problem(&self) -> &GemmProblem<Tensor> {
        &self.problem
    }

    /// The same, to write to.
    pub(super) fn problem_mut(&mut self) -> &mut GemmProblem<Tensor> {
        &mut self.problem
    }

    /// Enqueues one launch on the stream of `lt`.
    pub(super) fn launch_with(&self, lt: &Lt) -> Result<(), DeviceError> {
        let GemmProblem { a, b, c, .. } = &self.problem;
        lt.multiply(&self.matmul, [a, b, c])
    }

    /// Nanoseconds of a launch: the median of a few replays of a short graph.
    fn time_ns(&mut self) -> Result<f64, CaseError> {
        let cuda = self.cuda.clone();
        let graph = Graph::capture(&cuda, TIMED_LAUNCHES, || self.launch())?;
        Ok(graph.replay_ns(&cuda, TIMED_REPLAYS)? / TIMED_LAUNCHES as f64)
    }
}

/// More than the heuristic has ever offered for a GEMM of two matrices.
const MAX_ALGORITHMS: usize = 64;
const TIMED_LAUNCHES: usize = 10;
const TIMED_REPLAYS: usize = 5;

impl Plan for CublasLtGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        Ok(self.launch_with(self.cuda.lt())?)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.c)?;
        self.launch()?;
        verify::cuda::gemm(&self.cuda, &self.problem)
    }

    fn algorithm(&self) -> Option<Algorithm> {
        Some(self.matmul.algorithm)
    }
}
