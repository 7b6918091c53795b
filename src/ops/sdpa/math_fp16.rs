//! MATH_FP16: as MATH, with scores and weights in 16 bits; GEMMs accumulate in float32.

use super::backend::{About, AttentionBackend, Context, Made};
use super::cuda::{CudaSdpa, Launch};
use super::math::{gemms, score_elements};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::{Matrix, Strided, Tensor};
use crate::ops::error::CaseError;
use crate::ops::plan::Verification;
use crate::ops::verify;
use crate::workload::operation::{Backend, Sdpa};
use crate::workload::provider::Provider;
use crate::workload::shape::DType;

/// The backend.
pub struct MathFp16;

struct Scores(Tensor);

impl AttentionBackend for MathFp16 {
    fn about(&self) -> About {
        About { name: Backend::MathFp16, provider: Provider::NightSweep, color: 4 }
    }

    fn supports(&self, _: &Context, _: &Sdpa, _: DType) -> Result<(), CaseError> {
        Ok(())
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        let cuda = on.cuda()?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let scores = Scores(cuda.alloc(score_elements(&sdpa))?);
        Ok(CudaSdpa::made(cuda, problem, scores))
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel == "softmax_16bit"
    }
}

impl Launch for Scores {
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let SdpaProblem { sdpa, dtype, q, k, v, o } = &*problem;
        let (seq, dim) = (sdpa.shape.seq_len, sdpa.shape.head_dim);
        let [to_scores, to_output] = gemms(sdpa);
        let to_scores = Strided { alpha: problem.scale(), ..to_scores };
        let rows = to_scores.m;
        let [q, o] = [q, o].map(|tensor| Matrix::narrow(tensor, *dtype, dim, rows * dim));
        let [k, v] = [k, v].map(|tensor| Matrix::narrow(tensor, *dtype, dim, seq * dim));
        let scores = Matrix::narrow(&self.0, *dtype, seq, rows * seq);
        cuda.blas().gemm(to_scores, q, k.transposed(), scores)?;
        let stream = cuda.stream();
        cuda.kernels().softmax_16bit(stream, &mut self.0, seq, sdpa.causal, *dtype)?;
        let scores = Matrix::narrow(&self.0, *dtype, seq, rows * seq);
        Ok(cuda.blas().gemm(to_output, scores, v, o)?)
    }

    fn check(&self, cuda: &Cuda, problem: &SdpaProblem<Tensor>) -> Result<Verification, CaseError> {
        verify::cuda::sdpa_with_16bit_scores(cuda, problem)
    }
}
