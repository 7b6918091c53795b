//! The GEMM by cuBLASLt.

use super::GemmProblem;
use crate::device::cuda::{DeviceArray, Graph, Lt, Matmul};
use crate::device::{Algorithm, Cuda};
use crate::ops::{Plan, Verification, verify};
use crate::workload::{CaseError, Gemm, Precision};
use std::rc::Rc;

/// A GEMM bound to its buffers and its algorithm.
pub struct CublasLtGemm {
    pub(super) cuda: Rc<Cuda>,
    pub(super) problem: GemmProblem<DeviceArray>,
    matmul: Matmul,
}

impl GemmProblem<DeviceArray> {
    /// Operands in device memory: A and B seeded normal numbers, C not initialised.
    pub fn on_cuda(
        cuda: &Cuda,
        gemm: Gemm,
        dtype: impl Into<Precision>,
        seed: u64,
    ) -> Result<Self, CaseError> {
        let (dtype, [a, b, c]) = (dtype.into(), gemm.matrices());
        let a = cuda.normal_array(dtype.operand(), (seed, 0), a.size, a.data)?;
        let b = cuda.normal_array(dtype.operand(), (seed, 1), b.size, b.data)?;
        let c = cuda.alloc_array(dtype.result(), c.size[0] * c.size[1])?;
        Ok(GemmProblem { gemm, dtype, a, b, c })
    }
}

impl CublasLtGemm {
    /// Allocates and fills the operands, for the algorithm that the heuristic holds for the best.
    pub fn new(
        cuda: &Rc<Cuda>,
        gemm: Gemm,
        dtype: impl Into<Precision>,
        seed: u64,
    ) -> Result<Self, CaseError> {
        let dtype = dtype.into();
        let matmul = cuda.lt().algorithms(&gemm, dtype, 1)?.swap_remove(0);
        Self::with(cuda, gemm, dtype, seed, matmul)
    }

    /// The same for an algorithm of [`Lt::algorithms`].
    pub fn with(
        cuda: &Rc<Cuda>,
        gemm: Gemm,
        dtype: impl Into<Precision>,
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
        dtype: Precision,
        seed: u64,
    ) -> Result<Matmul, CaseError> {
        let offered = cuda.lt().algorithms(&gemm, dtype, MAX_ALGORITHMS)?;
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

    /// Enqueues one launch on the stream of `lt`.
    pub(super) fn launch_with(&self, lt: &Lt) -> Result<(), CaseError> {
        let GemmProblem { a, b, c, .. } = &self.problem;
        Ok(lt.multiply(&self.matmul, [a, b, c])?)
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
        self.launch_with(self.cuda.lt())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison_array(&self.cuda, &mut self.problem.c)?;
        self.launch()?;
        verify::cuda::gemm(&self.cuda, &self.problem)
    }

    fn algorithm(&self) -> Option<Algorithm> {
        Some(self.matmul.algorithm)
    }
}
