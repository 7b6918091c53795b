//! Plans of our fused kernels, FLASH, FLASH_UNPADDED and MEM_EFFICIENT, which never write the
//! scores.

use super::backend::Made;
use super::cuda::{CudaSdpa, Launch};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::{AttentionKernel, AttentionSize, Tensor};
use crate::ops::error::CaseError;
use crate::workload::operation::Sdpa;
use crate::workload::shape::DType;
use cudarc::driver::CudaSlice;
use std::rc::Rc;

struct Fused {
    kernel: AttentionKernel,
    kept: CudaSlice<f32>,
}

/// The plan of a kernel that was compiled for this attention.
pub(super) fn plan(
    cuda: &Rc<Cuda>,
    kernel: AttentionKernel,
    sdpa: Sdpa,
    dtype: DType,
    seed: u64,
) -> Result<Made, CaseError> {
    let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
    let kept = cuda.alloc(kernel.kept_elements(size(&sdpa)))?;
    Ok(CudaSdpa::made(cuda, problem, Fused { kernel, kept }))
}

/// Refuses what no kernel can be launched for.
pub(super) fn check_elements(sdpa: &Sdpa) -> Result<(), CaseError> {
    match sdpa.shape.elements() {
        0 => Err(CaseError::unsupported("attention needs at least one element")),
        _ => Ok(()),
    }
}

fn size(sdpa: &Sdpa) -> AttentionSize {
    let shape = sdpa.shape;
    AttentionSize {
        batch: shape.batch,
        n_heads: shape.n_heads,
        kv_heads: shape.kv_heads(),
        seq_len: shape.seq_len,
    }
}

impl Launch for Fused {
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let scale = problem.scale();
        let SdpaProblem { sdpa, q, k, v, o, .. } = problem;
        let (kept, size) = (&mut self.kept, size(sdpa));
        Ok(self.kernel.launch(cuda.stream(), [q, k, v], o, kept, size, scale)?)
    }
}
