//! What the backends of the host share: the plan, heads by thread, scratch memory.

use super::backend::{Attend, Made};
use super::problem::SdpaProblem;
use crate::device::cpu::HostGemm;
use crate::ops::verify::{self, POISON};
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, DType, GemmShape, Sdpa};
use gemm::Parallelism;
use rayon::prelude::*;
use std::cell::RefCell;

/// An attention in host memory, and a backend's way to compute it.
pub(super) struct CpuSdpa {
    pub problem: SdpaProblem<Vec<u16>>,
    pub attend: fn(&mut SdpaProblem<Vec<u16>>),
}

impl CpuSdpa {
    /// The plan over seeded data.
    pub(super) fn made(
        sdpa: Sdpa,
        dtype: DType,
        seed: u64,
        attend: fn(&mut SdpaProblem<Vec<u16>>),
    ) -> Made {
        let problem = SdpaProblem::on_host(sdpa, dtype, seed);
        Made::Host(Box::new(CpuSdpa { problem, attend }))
    }
}

impl Plan for CpuSdpa {
    fn launch(&mut self) -> Result<(), CaseError> {
        (self.attend)(&mut self.problem);
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.problem.o.fill(POISON);
        self.launch()?;
        verify::host::sdpa(&self.problem, self.scores())
    }
}

impl Attend<Vec<u16>> for CpuSdpa {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Vec<u16>> {
        &mut self.problem
    }
}

/// One head's operands: `[seq_len, dim]`, and keys and values `[kv_len, dim]`.
pub(super) struct Head<'a> {
    pub q: &'a [u16],
    pub k: &'a [u16],
    pub v: &'a [u16],
    pub dtype: DType,
    pub kv_len: usize,
    pub dim: usize,
    pub causal: bool,
    pub scale: f32,
}

impl Head<'_> {
    /// `scale · Q Kᵀ` of some float32 queries and keys, a row for each query.
    pub fn scores(&self, q: &[f32], k: &[f32], scores: &mut [f32]) {
        let shape = GemmShape { m: q.len() / self.dim, n: k.len() / self.dim, k: self.dim };
        let gemm = HostGemm { b_transposed: true, scale: self.scale, ..HostGemm::of(shape) };
        gemm.run(q, k, scores, Parallelism::None);
    }
}

/// Hands each head, and its part of the result, to one of rayon's threads.
pub(super) fn for_each_head(
    problem: &mut SdpaProblem<Vec<u16>>,
    attend: impl Fn(&Head<'_>, &mut [u16]) + Sync,
) {
    let scale = problem.scale();
    let SdpaProblem { sdpa, dtype, q, k, v, o } = problem;
    let (kv_len, dim) = (sdpa.shape.kv_len(), sdpa.shape.head_dim);
    let (elements, kv_elements) = (sdpa.shape.seq_len * dim, kv_len * dim);
    let (dtype, causal) = (*dtype, sdpa.causal);
    let heads_per_kv_head = sdpa.shape.heads_per_kv_head();
    o.par_chunks_mut(elements).enumerate().for_each(|(number, o)| {
        let kv_number = number / heads_per_kv_head;
        let (q, k, v) = (
            &q[number * elements..][..elements],
            &k[kv_number * kv_elements..][..kv_elements],
            &v[kv_number * kv_elements..][..kv_elements],
        );
        attend(&Head { q, k, v, dtype, kv_len, dim, causal, scale }, o);
    });
}

/// Replaces each score by `exp(score - largest)` and returns their sum.
pub(super) fn exponentials(scores: &mut [f32], largest: f32) -> f32 {
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    scores.iter().sum()
}

/// Lends `body` slices of these lengths, with contents left over from earlier use. They belong to
/// the thread and grow to the largest use yet, so that a launch allocates only the first time a
/// thread takes part. `body` must not wait on rayon, which could start another task that wants
/// them.
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
