//! FLASH, FLASH_UNPADDED and MEM_EFFICIENT: one kernel of ours that never writes the scores.

use super::{Attend, SdpaProblem};
use crate::device::Cuda;
use crate::device::cuda::{AttentionKernel, AttentionSize, Tensor};
use crate::device::error::CaseError;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify;
use crate::workload::operation::{Backend, Sdpa};
use crate::workload::shape::DType;
use cudarc::driver::CudaSlice;
use std::rc::Rc;

/// The largest head_dim of the FLASH kernels.
const FLASH_HEAD_DIM: usize = 256;

/// Whether our kernel takes this shape.
///
/// # Errors
/// Why not.
pub fn supports(backend: Backend, sdpa: &Sdpa) -> Result<(), CaseError> {
    let head_dim = sdpa.shape.head_dim;
    if sdpa.shape.elements() == 0 {
        return Err(CaseError::unsupported("attention needs at least one element"));
    }
    match backend {
        Backend::Flash | Backend::FlashUnpadded if head_dim > FLASH_HEAD_DIM => {
            Err(CaseError::unsupported(format!(
                "{} takes a head_dim of at most {FLASH_HEAD_DIM}, not {head_dim}",
                backend.name()
            )))
        }
        Backend::Flash if !head_dim.is_multiple_of(8) => Err(CaseError::unsupported(format!(
            "the FLASH kernel takes a head_dim that is a multiple of 8, not {head_dim}"
        ))),
        // PyTorch's reason: its kernels copy 16 bytes at a time and exist for no other alignment.
        Backend::MemEfficient if !head_dim.is_multiple_of(8) => {
            Err(CaseError::unsupported(format!(
                "MEM_EFFICIENT reads rows 16 bytes at a time: it takes a head_dim that is a multiple of 8, not {head_dim}"
            )))
        }
        _ => Ok(()),
    }
}

/// Attention by one of our fused kernels, with its tensors.
pub struct FusedSdpa {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    kernel: AttentionKernel,
    kept: CudaSlice<f32>,
}

impl FusedSdpa {
    /// Compiles the kernel of `backend` or takes it from the cache, and allocates and fills its tensors.
    ///
    /// # Errors
    /// As `supports`; out of memory; what the compiler or the driver reports.
    pub fn new(
        cuda: &Rc<Cuda>,
        backend: Backend,
        sdpa: Sdpa,
        dtype: DType,
        seed: u64,
    ) -> Result<Self, CaseError> {
        supports(backend, &sdpa)?;
        let (head_dim, causal) = (sdpa.shape.head_dim, sdpa.causal);
        let kernel = match backend {
            Backend::MemEfficient => AttentionKernel::mem_efficient(cuda, head_dim, dtype, causal),
            _ => {
                let unpadded = backend == Backend::FlashUnpadded;
                AttentionKernel::flash(cuda, unpadded, head_dim, dtype, causal)
            }
        }?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let kept = cuda.alloc(kernel.kept_elements(size(&sdpa)))?;
        Ok(FusedSdpa { cuda: cuda.clone(), problem, kernel, kept })
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

impl Plan for FusedSdpa {
    fn launch(&mut self) -> Result<(), CaseError> {
        let scale = self.problem.scale();
        let SdpaProblem { sdpa, q, k, v, o, .. } = &mut self.problem;
        let stream = self.cuda.stream();
        self.kernel.launch(stream, [q, k, v], o, &mut self.kept, size(sdpa), scale)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.o)?;
        self.launch()?;
        verify::cuda::sdpa(&self.cuda, &self.problem)
    }
}

impl Attend<Tensor> for FusedSdpa {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::error::ErrorKind;
    use crate::workload::shape::SdpaShape;

    #[test]
    fn a_shape_is_refused_with_a_reason() {
        let check = |backend, seq_len, head_dim| {
            let shape = SdpaShape { batch: 2, seq_len, n_heads: 3, n_kv_heads: None, head_dim };
            supports(backend, &Sdpa::dense(shape, backend))
        };
        for (backend, head_dim) in
            [(Backend::Flash, 256), (Backend::FlashUnpadded, 107), (Backend::MemEfficient, 264)]
        {
            assert_eq!(check(backend, 1, head_dim), Ok(()));
        }
        for (backend, seq_len, head_dim, reason) in [
            (Backend::Flash, 64, 107, "multiple of 8, not 107"),
            (Backend::Flash, 64, 264, "at most 256"),
            (Backend::FlashUnpadded, 64, 257, "at most 256"),
            (Backend::MemEfficient, 64, 107, "multiple of 8, not 107"),
            (Backend::Flash, 0, 64, "at least one"),
        ] {
            let error = check(backend, seq_len, head_dim).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
