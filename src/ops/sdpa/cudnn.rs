//! NS_CUDNN: cuDNN's fused attention, called by us.

use super::backend::{About, AttentionBackend, Context, Machine, Made, beyond, misaligned};
use super::cuda::{CudaSdpa, Launch};
use super::problem::SdpaProblem;
use crate::device::{Cuda, cuda::Tensor, cudnn::Bound};
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};

pub struct Cudnn;

impl AttentionBackend for Cudnn {
    fn about(&self) -> About {
        About { name: Backend::NsCudnn, provider: Provider::Cudnn, color: 5 }
    }

    fn supports(&self, on: &Context, sdpa: &Sdpa, dtype: DType) -> Result<(), CaseError> {
        Ok(on.cudnn()?.supports(sdpa, dtype)?)
    }

    fn torch_refusal(&self, machine: Machine, sdpa: &Sdpa) -> Option<String> {
        let Some(version) = machine.cudnn else {
            return Some("the library was not found".to_owned());
        };
        let head_dim = sdpa.shape.head_dim;
        let is_wide = machine.compute_capability == (9, 0) && version >= 91_000;
        misaligned(head_dim).or_else(|| beyond(head_dim, if is_wide { 256 } else { 128 }))
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        let cuda = on.cuda()?;
        let compiled = on.cudnn()?.plan(&sdpa, dtype)?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let workspace = cuda.alloc(compiled.workspace_bytes().max(1))?;
        let bound = compiled.bind(tensors(&problem), workspace)?;
        Ok(CudaSdpa::made(cuda, problem, bound))
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.contains("cudnn")
    }
}

impl Launch for Bound {
    fn launch(&mut self, _: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        Ok(Bound::launch(self, tensors(problem))?)
    }
}

fn tensors(problem: &SdpaProblem<Tensor>) -> [&Tensor; 4] {
    [&problem.q, &problem.k, &problem.v, &problem.o]
}
