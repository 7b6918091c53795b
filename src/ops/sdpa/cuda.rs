//! What the backends of a GPU share: a plan is the tensors, and how they are attended to.

use super::backend::{Attend, Made};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::Tensor;
use crate::ops::error::CaseError;
use crate::ops::plan::{Plan, Verification};
use crate::ops::verify;
use std::rc::Rc;

/// An attention ready to launch.
pub(super) struct CudaSdpa<L> {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    launch: L,
}

/// What a backend keeps for its launches: kernels, further buffers.
pub(super) trait Launch {
    /// Enqueues one launch over the tensors, as [`Plan::launch`].
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError>;

    /// Compares the result with the reference.
    fn check(&self, cuda: &Cuda, problem: &SdpaProblem<Tensor>) -> Result<Verification, CaseError> {
        verify::cuda::sdpa(cuda, problem)
    }
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
        self.launch.check(&self.cuda, &self.problem)
    }
}

impl<L: Launch> Attend<Tensor> for CudaSdpa<L> {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }
}
