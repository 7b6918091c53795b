//! NS_FLASH: FlashAttention-2, by a kernel of ours, kernels/flash.cu. NS_FLASH_UNPADDED is the same
//! kernel, reading unaligned rows itself.

use super::backend::{About, AttentionBackend, Context, Machine, Made, beyond};
use super::cuda::{Fused, check_self_attention};
use crate::device::cuda::AttentionKernel;
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};

/// The largest head_dim of the kernels.
const MAX_HEAD_DIM: usize = 256;
/// What NS_FLASH takes a head_dim to be a multiple of.
const ALIGNMENT: usize = 8;

/// NS_FLASH: pads a head_dim to the next multiple of 8, as PyTorch does.
pub struct Flash;

/// NS_FLASH_UNPADDED.
pub struct FlashUnpadded;

impl AttentionBackend for Flash {
    fn about(&self) -> About {
        About { name: Backend::NsFlash, provider: Provider::NightSweep, color: 1 }
    }

    fn pads_to(&self, head_dim: usize) -> Option<usize> {
        (!head_dim.is_multiple_of(ALIGNMENT)).then(|| head_dim.next_multiple_of(ALIGNMENT))
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_head_dim(self.about().name, sdpa)?;
        match sdpa.shape.head_dim {
            head_dim if head_dim.is_multiple_of(ALIGNMENT) => Ok(()),
            head_dim => Err(CaseError::unsupported(format!(
                "the NS_FLASH kernel takes a head_dim that is a multiple of {ALIGNMENT}, \
                 not {head_dim}"
            ))),
        }
    }

    fn torch_refusal(&self, _: Machine, sdpa: &Sdpa) -> Option<String> {
        beyond(sdpa.shape.head_dim, MAX_HEAD_DIM)
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let kernel =
            AttentionKernel::flash(on.cuda()?, false, sdpa.shape.head_dim, dtype, sdpa.causal)?;
        Fused::plan(on.cuda()?, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("flash_forward")
    }
}

impl AttentionBackend for FlashUnpadded {
    fn about(&self) -> About {
        About { name: Backend::NsFlashUnpadded, provider: Provider::NightSweep, color: 7 }
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_head_dim(self.about().name, sdpa)
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let kernel =
            AttentionKernel::flash(on.cuda()?, true, sdpa.shape.head_dim, dtype, sdpa.causal)?;
        Fused::plan(on.cuda()?, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("flash_unpadded")
    }
}

/// Whether there is a kernel for it, as far as its head_dim goes.
pub(super) fn takes(head_dim: usize) -> bool {
    (1..=MAX_HEAD_DIM).contains(&head_dim)
}

fn check_head_dim(name: Backend, sdpa: &Sdpa) -> Result<(), CaseError> {
    check_self_attention(name, sdpa)?;
    match sdpa.shape.head_dim {
        ..=MAX_HEAD_DIM => Ok(()),
        head_dim => Err(CaseError::unsupported(format!(
            "{} takes a head_dim of at most {MAX_HEAD_DIM}, not {head_dim}",
            name.name()
        ))),
    }
}
