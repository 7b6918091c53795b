//! CPU_BLOCKED: FlashAttention's algorithm on the host's cores, a block of queries at a time. No
//! more than a tile of the scores ever exists.

use super::backend::{About, AttentionBackend, Context, Made};
use super::cpu::{CpuSdpa, Head, exponentials, for_each_head, with_scratch};
use super::problem::SdpaProblem;
use crate::device::cpu::HostGemm;
use crate::workload::convert::{narrow, widen};
use crate::workload::{Backend, CaseError, DType, GemmShape, Provider, Sdpa};
use gemm::Parallelism;
use rayon::prelude::*;

/// Queries and keys of a tile. Square tiles make each tile that the causal mask leaves give every
/// query a key. At head_dim 128 the four float32 tiles and the scores take 144 KiB, which a core's
/// L2 holds.
const BLOCK: usize = 64;

pub struct CpuBlocked;

impl AttentionBackend for CpuBlocked {
    fn about(&self) -> About {
        About { name: Backend::CpuBlocked, provider: Provider::Cpu, color: 6 }
    }

    fn plan(&self, _: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError> {
        Ok(CpuSdpa::made(sdpa, dtype, seed, attend))
    }
}

pub(super) fn attend(problem: &mut SdpaProblem<Vec<u16>>) {
    let dim = problem.sdpa.shape.head_dim;
    for_each_head(problem, |head, o| {
        o.par_chunks_mut(BLOCK * dim)
            .enumerate()
            .for_each(|(block, o)| attend_block(head, block * BLOCK, o));
    });
}

/// The queries from number `first` on that `o` has rows for, against all keys they may see. For
/// each query the pass carries its largest score yet, the sum of `exp(score - largest)`, and the
/// values weighted by the same; a larger score makes what was summed before it decay.
fn attend_block(head: &Head<'_>, first: usize, o: &mut [u16]) {
    let dim = head.dim;
    let queries = o.len() / dim;
    let keys = if head.causal { first + queries } else { head.kv_len };
    let (elements, tile) = (o.len(), BLOCK * dim);
    let lengths = [elements, tile, tile, queries * BLOCK, elements, queries, queries];
    with_scratch(lengths, |[q, k, v, scores, weighted, largest, sum]| {
        widen(head.dtype, &head.q[first * dim..][..elements], q);
        weighted.fill(0.0);
        largest.fill(f32::NEG_INFINITY);
        sum.fill(0.0);
        for key in (0..keys).step_by(BLOCK) {
            let width = BLOCK.min(keys - key);
            let (k, v) = (&mut k[..width * dim], &mut v[..width * dim]);
            let scores = &mut scores[..queries * width];
            widen(head.dtype, &head.k[key * dim..][..width * dim], k);
            widen(head.dtype, &head.v[key * dim..][..width * dim], v);

            head.scores(q, k, scores);
            for (i, scores) in scores.chunks_mut(width).enumerate() {
                let seen = if head.causal { width.min(first + i + 1 - key) } else { width };
                let (scores, masked) = scores.split_at_mut(seen);
                let new_largest = scores.iter().copied().fold(largest[i], f32::max);
                let decay = (largest[i] - new_largest).exp();
                largest[i] = new_largest;
                sum[i] = sum[i] * decay + exponentials(scores, new_largest);
                masked.fill(0.0);
                weighted[i * dim..][..dim].iter_mut().for_each(|x| *x *= decay);
            }
            let shape = GemmShape { m: queries, n: dim, k: width };
            let gemm = HostGemm { accumulate: true, ..HostGemm::of(shape) };
            gemm.run(scores, v, weighted, Parallelism::None);
        }
        for (row, sum) in weighted.chunks_mut(dim).zip(sum) {
            row.iter_mut().for_each(|x| *x /= *sum);
        }
        narrow(head.dtype, weighted, o);
    });
}
