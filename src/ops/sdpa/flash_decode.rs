//! NS_FLASH_DECODE: one query on a KV cache, by a kernel of ours, kernels/flash_decode.cu.

use super::backend::{About, AttentionBackend, Context, Made};
use super::cuda::{CudaSdpa, Launch, check_elements};
use super::problem::SdpaProblem;
use crate::device::Cuda;
use crate::device::cuda::{DecodeKernel, Tensor};
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};

/// The largest head_dim of the kernel.
const MAX_HEAD_DIM: usize = 256;

pub struct FlashDecode;

impl AttentionBackend for FlashDecode {
    fn about(&self) -> About {
        About { name: Backend::NsFlashDecode, provider: Provider::NightSweep, color: 0 }
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_elements(sdpa)?;
        if takes(sdpa) {
            return Ok(());
        }
        let takes = format!("one query without a mask, and a head_dim of at most {MAX_HEAD_DIM}");
        Err(CaseError::unsupported(format!("NS_FLASH_DECODE takes {takes}")))
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let cuda = on.cuda()?;
        let kernel = DecodeKernel::new(cuda, sdpa.shape, dtype)?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        Ok(CudaSdpa::made(cuda, problem, kernel))
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("flash_decode")
    }
}

impl Launch for DecodeKernel {
    fn launch(&mut self, cuda: &Cuda, problem: &mut SdpaProblem<Tensor>) -> Result<(), CaseError> {
        let scale = problem.scale();
        let SdpaProblem { q, k, v, o, .. } = problem;
        Ok(DecodeKernel::launch(self, cuda, [q, k, v], o, scale)?)
    }
}

/// Whether there is a kernel for it.
pub(super) fn takes(sdpa: &Sdpa) -> bool {
    let shape = sdpa.shape;
    shape.seq_len == 1 && !sdpa.causal && (1..=MAX_HEAD_DIM).contains(&shape.head_dim)
}
