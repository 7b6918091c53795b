//! What the backends of a GPU share: a plan is the tensors, and how they are attended to.

use super::backend::{Attend, Made};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::{AttentionKernel, Tensor};
use crate::ops::verify::{self, Scores};
use crate::ops::{Plan, Verification};
use crate::workload::{Backend, CaseError, DType, Sdpa};
use cudarc::driver::CudaSlice;
use std::rc::Rc;

/// An attention ready to launch.
pub(super) struct CudaSdpa<L> {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    launch: L,
}

/// What a backend keeps for its launches: kernels, further buffers.
pub(super) trait Launch {
    /// What becomes of its scores.
    const SCORES: Scores = Scores::Float32;

    /// Enqueues one launch over the tensors, as [`Plan::launch`].
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError>;
}

impl<L: Launch + 'static> CudaSdpa<L> {
    /// The plan of these tensors.
    pub(super) fn made(cuda: &Rc<Cuda>, problem: SdpaProblem<Tensor>, launch: L) -> Made {
        Made::Cuda(Box::new(CudaSdpa { cuda: cuda.clone(), problem, launch }))
    }
}

impl<L: Launch> Plan for CudaSdpa<L> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.launch.launch(&self.cuda, &mut self.problem)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.o)?;
        self.launch()?;
        verify::cuda::sdpa(&self.cuda, &self.problem, L::SCORES)
    }
}

impl<L: Launch> Attend<Tensor> for CudaSdpa<L> {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }

    fn scores(&self) -> Scores {
        L::SCORES
    }
}

/// A kernel of ours that never writes the scores: NS_FLASH, NS_FLASH_UNPADDED and
/// NS_MEM_EFFICIENT.
pub(super) struct Fused {
    kernel: AttentionKernel,
    kept: CudaSlice<f32>,
}

impl Fused {
    /// The plan of a kernel that was compiled for this attention.
    pub(super) fn plan(
        cuda: &Rc<Cuda>,
        kernel: AttentionKernel,
        sdpa: Sdpa,
        dtype: DType,
        seed: u64,
    ) -> Result<Made, CaseError> {
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let kept = cuda.alloc(kernel.kept_elements(&sdpa.shape))?;
        Ok(CudaSdpa::made(cuda, problem, Fused { kernel, kept }))
    }
}

impl Launch for Fused {
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let scale = problem.scale();
        let SdpaProblem { sdpa, q, k, v, o, .. } = problem;
        let kept = &mut self.kept;
        Ok(self.kernel.launch(cuda.stream(), [q, k, v], o, kept, &sdpa.shape, scale)?)
    }
}

/// Refuses what no kernel can be launched for.
pub(super) fn check_elements(sdpa: &Sdpa) -> Result<(), CaseError> {
    match sdpa.shape.elements().min(sdpa.shape.kv_elements()) {
        0 => Err(CaseError::unsupported("attention needs at least one element")),
        _ => Ok(()),
    }
}

/// Refuses what a kernel of self-attention cannot do.
pub(super) fn check_self_attention(name: Backend, sdpa: &Sdpa) -> Result<(), CaseError> {
    check_elements(sdpa)?;
    match sdpa.shape.kv_len {
        None => Ok(()),
        Some(_) => Err(CaseError::unsupported(format!(
            "{} takes as many queries as keys: over a KV cache there is {}",
            name.name(),
            Backend::NsFlashDecode.name()
        ))),
    }
}
