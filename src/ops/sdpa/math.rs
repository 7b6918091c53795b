//! MATH attention: product, softmax, product, with the scores in memory.
//!
//! `MATH` computes in float32 as PyTorch does by default: the operands widened, Q and K scaled by the square root of
//! the scale each, two products without tensor cores (no TF32), the result narrowed at the end. PyTorch spends further
//! passes over the scores on its safe softmax and on a copy of the weights that nobody reads; ours does not.
//! `MATH_FP16` keeps scores and weights in 16 bits and accumulates in float32.

use super::{Attend, SdpaProblem};
use crate::device::Cuda;
use crate::device::cuda::{Matrix, Strided, Tensor};
use crate::device::error::CaseError;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify;
use crate::workload::operation::Sdpa;
use crate::workload::shape::DType;
use cudarc::driver::CudaSlice;
use std::rc::Rc;

/// Attention in float32.
pub struct MathSdpa {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    q: CudaSlice<f32>,
    k: CudaSlice<f32>,
    v: CudaSlice<f32>,
    o: CudaSlice<f32>,
    scores: CudaSlice<f32>,
}

/// Attention with 16-bit scores.
pub struct MathSdpa16 {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    scores: Tensor,
}

/// The two products for every KV head: scores `[rows, seq]` from `[rows, dim]`, and back. The rows are the queries
/// of all heads that share it, which lie one after the other.
fn products(sdpa: &Sdpa) -> [Strided; 2] {
    let shape = sdpa.shape;
    let (seq, dim, batch) = (shape.seq_len, shape.head_dim, shape.batch * shape.kv_heads());
    let rows = seq * shape.heads_per_kv_head();
    [
        Strided { m: rows, n: seq, k: dim, batch, alpha: 1.0 },
        Strided { m: rows, n: dim, k: seq, batch, alpha: 1.0 },
    ]
}

fn score_elements(sdpa: &Sdpa) -> usize {
    sdpa.shape.batch * sdpa.shape.n_heads * sdpa.shape.seq_len * sdpa.shape.seq_len
}

impl MathSdpa {
    /// Allocates the operands, their float32 copies and the scores.
    ///
    /// # Errors
    /// Out of memory, or what the driver reports.
    pub fn new(cuda: &Rc<Cuda>, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let (elements, kv_elements) = (sdpa.shape.elements(), sdpa.shape.kv_elements());
        Ok(MathSdpa {
            q: cuda.alloc(elements)?,
            k: cuda.alloc(kv_elements)?,
            v: cuda.alloc(kv_elements)?,
            o: cuda.alloc(elements)?,
            scores: cuda.alloc(score_elements(&sdpa))?,
            problem,
            cuda: cuda.clone(),
        })
    }
}

impl Plan for MathSdpa {
    fn launch(&mut self) -> Result<(), CaseError> {
        let (kernels, stream) = (self.cuda.kernels(), self.cuda.stream());
        let (sdpa, dtype) = (self.problem.sdpa, self.problem.dtype);
        let (seq, dim) = (sdpa.shape.seq_len, sdpa.shape.head_dim);
        let root = self.problem.scale().sqrt();
        kernels.widen(stream, &self.problem.q, &mut self.q, root, dtype)?;
        kernels.widen(stream, &self.problem.k, &mut self.k, root, dtype)?;
        kernels.widen(stream, &self.problem.v, &mut self.v, 1.0, dtype)?;
        let [to_scores, to_output] = products(&sdpa);
        let rows = to_scores.m;
        let [q, o] = [&self.q, &self.o].map(|buffer| Matrix::wide(buffer, dim, rows * dim));
        let [k, v] = [&self.k, &self.v].map(|buffer| Matrix::wide(buffer, dim, seq * dim));
        let scores = Matrix::wide(&self.scores, seq, rows * seq);
        // SAFETY: every buffer was allocated for all heads of its shape, and lives in `self`.
        unsafe {
            self.cuda.blas().product(to_scores, q, k.transposed(), scores)?;
        }
        kernels.softmax_f32(stream, &mut self.scores, seq, sdpa.causal)?;
        // SAFETY: as above.
        unsafe { self.cuda.blas().product(to_output, scores, v, o)? };
        kernels.narrow(stream, &self.o, &mut self.problem.o, dtype)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.o)?;
        self.launch()?;
        verify::cuda::sdpa(&self.cuda, &self.problem)
    }
}

impl Attend<Tensor> for MathSdpa {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }
}

impl MathSdpa16 {
    /// Allocates the operands and the scores.
    ///
    /// # Errors
    /// Out of memory, or what the driver reports.
    pub fn new(cuda: &Rc<Cuda>, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let scores = cuda.alloc(score_elements(&sdpa))?;
        Ok(MathSdpa16 { cuda: cuda.clone(), problem, scores })
    }
}

impl Plan for MathSdpa16 {
    fn launch(&mut self) -> Result<(), CaseError> {
        let SdpaProblem { sdpa, dtype, q, k, v, o } = &self.problem;
        let (seq, dim) = (sdpa.shape.seq_len, sdpa.shape.head_dim);
        let [to_scores, to_output] = products(sdpa);
        let to_scores = Strided { alpha: self.problem.scale(), ..to_scores };
        let rows = to_scores.m;
        let [q, o] = [q, o].map(|tensor| Matrix::narrow(tensor, *dtype, dim, rows * dim));
        let [k, v] = [k, v].map(|tensor| Matrix::narrow(tensor, *dtype, dim, seq * dim));
        let scores = Matrix::narrow(&self.scores, *dtype, seq, rows * seq);
        // SAFETY: every buffer was allocated for all heads of its shape, and lives in `self`.
        unsafe { self.cuda.blas().product(to_scores, q, k.transposed(), scores)? };
        let kernels = self.cuda.kernels();
        kernels.softmax_16bit(self.cuda.stream(), &mut self.scores, seq, sdpa.causal, *dtype)?;
        // SAFETY: as above.
        unsafe { self.cuda.blas().product(to_output, scores, v, o) }
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.o)?;
        self.launch()?;
        verify::cuda::sdpa_with_16bit_scores(&self.cuda, &self.problem)
    }
}

impl Attend<Tensor> for MathSdpa16 {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }
}
