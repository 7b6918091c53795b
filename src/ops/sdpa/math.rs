//! NS_MATH on a GPU: GEMM, softmax, GEMM, with the scores in memory; and NS_MATH_FP16, the same
//! with scores and weights in 16 bits. GEMMs accumulate in float32.
//!
//! NS_MATH computes in float32 as PyTorch does by default: the operands widened, Q and K scaled by
//! the square root of the scale each, two GEMMs without tensor cores (no TF32), the result narrowed
//! at the end. PyTorch spends further passes over the scores on its safe softmax and on a copy of
//! the weights that nobody reads; ours does not.

use super::backend::{About, AttentionBackend, Context, Made};
use super::cuda::{CudaSdpa, Launch};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::{Matrix, Strided, Tensor};
use crate::ops::verify::Scores;
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};
use cudarc::driver::CudaSlice;

/// NS_MATH.
pub struct Math;

/// NS_MATH_FP16.
pub struct MathFp16;

/// Copies in float32, and the scores.
struct InFloat32 {
    q: CudaSlice<f32>,
    k: CudaSlice<f32>,
    v: CudaSlice<f32>,
    o: CudaSlice<f32>,
    scores: CudaSlice<f32>,
}

impl AttentionBackend for Math {
    fn about(&self) -> About {
        About { name: Backend::NsMath, provider: Provider::NightSweep, color: 3 }
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        let cuda = on.cuda()?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let (elements, kv_elements) = (sdpa.shape.elements(), sdpa.shape.kv_elements());
        let buffers = InFloat32 {
            q: cuda.alloc(elements)?,
            k: cuda.alloc(kv_elements)?,
            v: cuda.alloc(kv_elements)?,
            o: cuda.alloc(elements)?,
            scores: cuda.alloc(score_elements(&sdpa))?,
        };
        Ok(CudaSdpa::made(cuda, problem, buffers))
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel == "softmax_f32"
    }
}

impl AttentionBackend for MathFp16 {
    fn about(&self) -> About {
        About { name: Backend::NsMathFp16, provider: Provider::NightSweep, color: 4 }
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        let cuda = on.cuda()?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let scores = In16Bits(cuda.alloc(score_elements(&sdpa))?);
        Ok(CudaSdpa::made(cuda, problem, scores))
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel == "softmax_16bit"
    }
}

/// The two GEMMs for every KV head: scores `[rows, keys]` from `[rows, dim]`, and back. The rows
/// are the queries of all heads that share it, which lie one after the other.
fn gemms(sdpa: &Sdpa) -> [Strided; 2] {
    let shape = sdpa.shape;
    let (keys, dim, batch) = (shape.kv_len(), shape.head_dim, shape.batch * shape.kv_heads());
    let rows = shape.seq_len * shape.heads_per_kv_head();
    let scores = Strided { m: rows, n: keys, k: dim, batch, alpha: 1.0 };
    [scores, Strided { n: dim, k: keys, ..scores }]
}

fn score_elements(sdpa: &Sdpa) -> usize {
    sdpa.shape.batch * sdpa.shape.n_heads * sdpa.shape.seq_len * sdpa.shape.kv_len()
}

impl Launch for InFloat32 {
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let kernels = cuda.kernels();
        let (sdpa, dtype) = (problem.sdpa, problem.dtype);
        let (keys, dim) = (sdpa.shape.kv_len(), sdpa.shape.head_dim);
        let root = problem.scale().sqrt();
        kernels.widen(&problem.q, &mut self.q, root, dtype)?;
        kernels.widen(&problem.k, &mut self.k, root, dtype)?;
        kernels.widen(&problem.v, &mut self.v, 1.0, dtype)?;
        let [to_scores, to_output] = gemms(&sdpa);
        let rows = to_scores.m;
        let [q, o] = [&self.q, &self.o].map(|buffer| Matrix::wide(buffer, dim, rows * dim));
        let [k, v] = [&self.k, &self.v].map(|buffer| Matrix::wide(buffer, dim, keys * dim));
        let scores = Matrix::wide(&self.scores, keys, rows * keys);
        cuda.blas().gemm(to_scores, q, k.transposed(), scores)?;
        kernels.softmax_f32(&mut self.scores, keys, sdpa.causal)?;
        let scores = Matrix::wide(&self.scores, keys, rows * keys);
        cuda.blas().gemm(to_output, scores, v, o)?;
        Ok(kernels.narrow(&self.o, &mut problem.o, dtype)?)
    }
}

/// What NS_MATH_FP16 keeps.
struct In16Bits(Tensor);

impl Launch for In16Bits {
    const SCORES: Scores = Scores::Rounded;

    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let SdpaProblem { sdpa, dtype, q, k, v, o } = &*problem;
        let (keys, dim) = (sdpa.shape.kv_len(), sdpa.shape.head_dim);
        let [to_scores, to_output] = gemms(sdpa);
        let to_scores = Strided { alpha: problem.scale(), ..to_scores };
        let rows = to_scores.m;
        let [q, o] = [q, o].map(|tensor| Matrix::narrow(tensor, *dtype, dim, rows * dim));
        let [k, v] = [k, v].map(|tensor| Matrix::narrow(tensor, *dtype, dim, keys * dim));
        let scores = Matrix::narrow(&self.0, *dtype, keys, rows * keys);
        cuda.blas().gemm(to_scores, q, k.transposed(), scores)?;
        cuda.kernels().softmax_16bit(&mut self.0, keys, sdpa.causal, *dtype)?;
        let scores = Matrix::narrow(&self.0, *dtype, keys, rows * keys);
        Ok(cuda.blas().gemm(to_output, scores, v, o)?)
    }
}
