//! NS_MEM_EFFICIENT: the CUTLASS-style memory-efficient attention, by a kernel of ours,
//! kernels/mem_efficient.cu.

use super::backend::{About, AttentionBackend, Context, Machine, Made, misaligned};
use super::cuda::{Fused, check_self_attention};
use crate::device::cuda::AttentionKernel;
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};

pub struct MemEfficient;

impl AttentionBackend for MemEfficient {
    fn about(&self) -> About {
        About { name: Backend::NsMemEfficient, provider: Provider::NightSweep, color: 2 }
    }

    fn supports(&self, _: &Context, sdpa: &Sdpa, _: DType) -> Result<(), CaseError> {
        check_self_attention(self.about().name, sdpa)?;
        match sdpa.shape.head_dim {
            head_dim if head_dim.is_multiple_of(8) => Ok(()),
            // PyTorch's reason: its kernels copy 16 bytes at a time and know no other alignment.
            head_dim => Err(CaseError::unsupported(format!(
                "NS_MEM_EFFICIENT reads rows 16 bytes at a time: it takes a head_dim that is \
                 a multiple of 8, not {head_dim}"
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
        Fused::plan(cuda, kernel, sdpa, dtype, seed)
    }

    fn is_proven_by(&self, kernel: &str) -> bool {
        kernel.starts_with("mem_efficient_")
    }
}
