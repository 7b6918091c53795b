//! MEM_EFFICIENT: the CUTLASS-style memory-efficient attention, by a kernel of ours,
//! kernels/mem_efficient.cu.

use super::backend::{About, AttentionBackend, Context, Machine, Made, misaligned};
use super::fused::{check_elements, plan};
use crate::device::cuda::AttentionKernel;
use crate::ops::error::CaseError;
use crate::workload::operation::{Backend, Sdpa};
use crate::workload::provider::Provider;
use crate::workload::shape::DType;

/// The backend.
pub struct MemEfficient;

impl AttentionBackend for MemEfficient {
    fn about(&self) -> About {
        About { name: Backend::MemEfficient, provider: Provider::NightSweep, color: 2 }
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_elements(sdpa)?;
        match sdpa.shape.head_dim {
            head_dim if head_dim.is_multiple_of(8) => Ok(()),
            // PyTorch's reason: its kernels copy 16 bytes at a time and exist for no other
            // alignment.
            head_dim => Err(CaseError::unsupported(format!(
                "MEM_EFFICIENT reads rows 16 bytes at a time: it takes a head_dim that is a \
                 multiple of 8, not {head_dim}"
            ))),
        }
    }

    fn torch_refusal(&self, _: Machine, sdpa: &Sdpa) -> Option<String> {
        misaligned(sdpa.shape.head_dim).or_else(|| {
            let heads = sdpa.shape.n_kv_heads?;
            Some(format!("{heads} KV heads are fewer than of queries"))
        })
    }

    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        self.supports(on, &sdpa, dtype)?;
        let cuda = on.cuda()?;
        let kernel = AttentionKernel::mem_efficient(cuda, sdpa.shape.head_dim, dtype, sdpa.causal)?;
        plan(cuda, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("mem_efficient_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::workload::shape::SdpaShape;

    #[test]
    fn a_shape_is_refused_with_a_reason() {
        let context = Context::new(Device::Cpu);
        let check = |head_dim| {
            let shape = SdpaShape { batch: 2, seq_len: 64, n_heads: 3, n_kv_heads: None, head_dim };
            MemEfficient.supports(&context, &Sdpa::dense(shape, Backend::MemEfficient), DType::Fp16)
        };
        assert_eq!(check(264), Ok(()));
        let error = check(107).unwrap_err();
        assert!(error.message.contains("multiple of 8, not 107"), "{error}");
    }
}
