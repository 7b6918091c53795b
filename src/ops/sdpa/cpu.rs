//! Attention on the host's cores in blocks: FlashAttention's algorithm, and what the host's backends share.

use super::{Attend, SdpaProblem};
use crate::device::error::CaseError;
use crate::ops::gemm::Product;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify::{self, POISON};
use crate::workload::convert::{narrow, widen};
use crate::workload::shape::{DType, GemmShape};
use ::gemm::Parallelism;
use rayon::prelude::*;
use std::cell::RefCell;

/// Queries and keys of a tile. Square tiles make each tile that the causal mask leaves give every query a key.
/// At head_dim 128 the four float32 tiles and the scores take 144 KiB, which a core's L2 holds.
const BLOCK: usize = 64;

/// Blocked attention with an online softmax: no more than a tile of the scores ever exists.
pub struct CpuBlocked(pub SdpaProblem<Vec<u16>>);

impl Plan for CpuBlocked {
    fn launch(&mut self) -> Result<(), CaseError> {
        let dim = self.0.sdpa.shape.head_dim;
        for_each_head(&mut self.0, |head, o| {
            o.par_chunks_mut(BLOCK * dim)
                .enumerate()
                .for_each(|(block, o)| attend_block(head, block * BLOCK, o));
        });
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.0.o.fill(POISON);
        self.launch()?;
        verify::host_sdpa(&self.0)
    }
}

impl Attend<Vec<u16>> for CpuBlocked {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Vec<u16>> {
        &mut self.0
    }
}

/// The queries from number `first` on that `o` has rows for, against all keys they may see.
///
/// For each query the pass over the keys carries its largest score yet, the sum of `exp(score - largest)`, and the
/// values weighted by the same; a larger score makes what was summed before it decay.
fn attend_block(head: &Head<'_>, first: usize, o: &mut [u16]) {
    let dim = head.dim;
    let queries = o.len() / dim;
    let keys = if head.causal { first + queries } else { head.seq_len };
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
            let product = Product { accumulate: true, ..Product::of(shape) };
            product.run(scores, v, weighted, Parallelism::None);
        }
        for (row, sum) in weighted.chunks_mut(dim).zip(sum) {
            row.iter_mut().for_each(|x| *x /= *sum);
        }
        narrow(head.dtype, weighted, o);
    });
}

/// One head's operands, `[seq_len, dim]` each.
pub(super) struct Head<'a> {
    pub q: &'a [u16],
    pub k: &'a [u16],
    pub v: &'a [u16],
    pub dtype: DType,
    pub seq_len: usize,
    pub dim: usize,
    pub causal: bool,
    pub scale: f32,
}

impl Head<'_> {
    /// `scale · Q Kᵀ` of some float32 queries and keys, a row for each query.
    pub fn scores(&self, q: &[f32], k: &[f32], scores: &mut [f32]) {
        let shape = GemmShape { m: q.len() / self.dim, n: k.len() / self.dim, k: self.dim };
        let product = Product { b_transposed: true, scale: self.scale, ..Product::of(shape) };
        product.run(q, k, scores, Parallelism::None);
    }
}

/// Hands each head, and its part of the result, to one of rayon's threads.
pub(super) fn for_each_head(
    problem: &mut SdpaProblem<Vec<u16>>,
    attend: impl Fn(&Head<'_>, &mut [u16]) + Sync,
) {
    let scale = problem.scale();
    let SdpaProblem { sdpa, dtype, q, k, v, o } = problem;
    let (seq_len, dim) = (sdpa.shape.seq_len, sdpa.shape.head_dim);
    let (dtype, causal, elements) = (*dtype, sdpa.causal, seq_len * dim);
    let heads_per_kv_head = sdpa.shape.heads_per_kv_head();
    o.par_chunks_mut(elements).enumerate().for_each(|(number, o)| {
        let kv_number = number / heads_per_kv_head;
        let (q, k, v) = (
            &q[number * elements..][..elements],
            &k[kv_number * elements..][..elements],
            &v[kv_number * elements..][..elements],
        );
        attend(&Head { q, k, v, dtype, seq_len, dim, causal, scale }, o);
    });
}

/// Replaces each score by `exp(score - largest)` and returns their sum.
pub(super) fn exponentials(scores: &mut [f32], largest: f32) -> f32 {
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    scores.iter().sum()
}

/// Lends `body` slices of these lengths, whose contents are left over from earlier use.
///
/// They belong to the thread and grow to the largest use yet, so that a launch allocates only the first time a
/// thread takes part. `body` must not wait on rayon, which could start another task that wants them.
pub(super) fn with_scratch<const N: usize>(
    lengths: [usize; N],
    body: impl FnOnce([&mut [f32]; N]),
) {
    thread_local!(static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    SCRATCH.with_borrow_mut(|scratch| {
        let total = lengths.iter().sum();
        if scratch.len() < total {
            scratch.resize(total, 0.0);
        }
        let mut rest = scratch.as_mut_slice();
        body(lengths.map(|length| {
            let (slice, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            slice
        }));
    });
}
