//! FLASH: FlashAttention-2, by a kernel of ours, kernels/flash.cu. FLASH_UNPADDED is the same
//! kernel, reading unaligned rows itself.

use super::backend::{About, AttentionBackend, Context, Machine, Made, beyond};
use super::fused::{check_elements, plan};
use crate::device::cuda::AttentionKernel;
use crate::ops::error::CaseError;
use crate::workload::operation::{Backend, Sdpa};
use crate::workload::provider::Provider;
use crate::workload::shape::DType;

/// The largest head_dim of the kernels.
const MAX_HEAD_DIM: usize = 256;
/// What FLASH takes a head_dim to be a multiple of.
const ALIGNMENT: usize = 8;

/// FLASH: pads a head_dim that is no multiple of 8 to the next one, as PyTorch does.
pub struct Flash;

/// FLASH_UNPADDED.
pub struct FlashUnpadded;

impl AttentionBackend for Flash {
    fn about(&self) -> About {
        About { name: Backend::Flash, provider: Provider::NightSweep, color: 1 }
    }

    fn pads_to(&self, head_dim: usize) -> Option<usize> {
        (!head_dim.is_multiple_of(ALIGNMENT)).then(|| head_dim.next_multiple_of(ALIGNMENT))
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_head_dim(self.about().name, sdpa)?;
        match sdpa.shape.head_dim {
            head_dim if head_dim.is_multiple_of(ALIGNMENT) => Ok(()),
            head_dim => Err(CaseError::unsupported(format!(
                "the FLASH kernel takes a head_dim that is a multiple of {ALIGNMENT}, \
                 not {head_dim}"
            ))),
        }
    }

    fn torch_refusal(&self, _: Machine, sdpa: &Sdpa) -> Option<String> {
        beyond(sdpa.shape.head_dim, MAX_HEAD_DIM)
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let cuda = on.cuda()?;
        let head_dim = sdpa.shape.head_dim;
        let kernel = AttentionKernel::flash(cuda, false, head_dim, dtype, sdpa.causal)?;
        plan(cuda, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("flash_") && !FlashUnpadded.is_proven_by(kernel)
    }
}

impl AttentionBackend for FlashUnpadded {
    fn about(&self) -> About {
        About { name: Backend::FlashUnpadded, provider: Provider::NightSweep, color: 7 }
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_head_dim(self.about().name, sdpa)
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let cuda = on.cuda()?;
        let head_dim = sdpa.shape.head_dim;
        let kernel = AttentionKernel::flash(cuda, true, head_dim, dtype, sdpa.causal)?;
        plan(cuda, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("flash_unpadded")
    }
}

fn check_head_dim(name: Backend, sdpa: &Sdpa) -> Result<(), CaseError> {
    check_elements(sdpa)?;
    match sdpa.shape.head_dim {
        ..=MAX_HEAD_DIM => Ok(()),
        head_dim => Err(CaseError::unsupported(format!(
            "{} takes a head_dim of at most {MAX_HEAD_DIM}, not {head_dim}",
            name.name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::ops::error::ErrorKind;
    use crate::workload::shape::SdpaShape;

    #[test]
    fn a_shape_is_refused_with_a_reason() {
        let context = Context::new(Device::Cpu);
        let check = |backend: &dyn AttentionBackend, seq_len, head_dim| {
            let shape = SdpaShape { batch: 2, seq_len, n_heads: 3, n_kv_heads: None, head_dim };
            backend.supports(&context, &Sdpa::dense(shape, backend.about().name), DType::Fp16)
        };
        assert_eq!(check(&Flash, 1, 256), Ok(()));
        assert_eq!(check(&FlashUnpadded, 1, 107), Ok(()));
        let refused: [(&dyn AttentionBackend, _, _, _); 4] = [
            (&Flash, 64, 107, "multiple of 8, not 107"),
            (&Flash, 64, 264, "at most 256"),
            (&FlashUnpadded, 64, 257, "at most 256"),
            (&Flash, 0, 64, "at least one"),
        ];
        for (backend, seq_len, head_dim, reason) in refused {
            let error = check(backend, seq_len, head_dim).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
