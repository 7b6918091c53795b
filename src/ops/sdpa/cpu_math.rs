//! NS_MATH on the host's cores, by its definition: all scores of a head, their softmax, the
//! weighted values.
//!
//! A causal mask saves no work, as in the backends of the GPU: masked scores are computed and
//! set to zero. Each core holds `queries · keys + 2 · (queries + keys) · head_dim` float32
//! numbers.

use super::backend::{About, AttentionBackend, Context, Made};
use super::cpu::{CpuSdpa, Head, exponentials, for_each_head, with_scratch};
use super::problem::SdpaProblem;
use crate::device::cpu::HostGemm;
use crate::workload::convert::{narrow, widen};
use crate::workload::{Backend, CaseError, DType, GemmShape, Provider, Sdpa};
use gemm::Parallelism;

pub struct CpuMath;

impl AttentionBackend for CpuMath {
    fn about(&self) -> About {
        About { name: Backend::NsMath, provider: Provider::Cpu, color: 3 }
    }

    fn plan(&self, _: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        Ok(CpuSdpa::made(sdpa, dtype, seed, attend))
    }
}

pub(super) fn attend(problem: &mut SdpaProblem<Vec<u16>>) {
    for_each_head(problem, attend_head);
}

fn attend_head(head: &Head<'_>, o: &mut [u16]) {
    let (queries, keys) = (o.len() / head.dim, head.kv_len);
    let (elements, kv_elements) = (o.len(), head.k.len());
    let lengths = [elements, kv_elements, kv_elements, queries * keys, elements];
    with_scratch(lengths, |[q, k, v, scores, result]| {
        widen(head.dtype, head.q, q);
        widen(head.dtype, head.k, k);
        widen(head.dtype, head.v, v);
        head.scores(q, k, scores);
        for (query, row) in scores.chunks_mut(keys).enumerate() {
            let (seen, masked) = row.split_at_mut(if head.causal { query + 1 } else { keys });
            let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum = exponentials(seen, largest);
            seen.iter_mut().for_each(|weight| *weight /= sum);
            masked.fill(0.0);
        }
        let shape = GemmShape { m: queries, n: head.dim, k: keys };
        HostGemm::of(shape).run(scores, v, result, Parallelism::None);
        narrow(head.dtype, result, o);
    });
}
