//! Attention on the host's cores by its definition: all scores of a head, their softmax, the weighted values.

use super::cpu::{Head, exponentials, for_each_head, with_scratch};
use super::{Attend, SdpaProblem};
use crate::device::error::CaseError;
use crate::ops::gemm::Product;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify::{self, POISON};
use crate::workload::convert::{narrow, widen};
use crate::workload::shape::GemmShape;
use ::gemm::Parallelism;

/// Attention with the whole score matrix in memory, one head at a time on each core.
///
/// A causal mask saves no work, as in the MATH backends of the GPU: masked scores are computed and set to zero.
/// Each core holds `seq_len² + 4 · seq_len · head_dim` float32 numbers.
pub struct CpuMath(pub SdpaProblem<Vec<u16>>);

impl Plan for CpuMath {
    fn launch(&mut self) -> Result<(), CaseError> {
        for_each_head(&mut self.0, attend);
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.0.o.fill(POISON);
        self.launch()?;
        verify::host_sdpa(&self.0)
    }
}

impl Attend<Vec<u16>> for CpuMath {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Vec<u16>> {
        &mut self.0
    }
}

/// One head.
fn attend(head: &Head<'_>, o: &mut [u16]) {
    let (seq_len, elements) = (head.seq_len, o.len());
    let lengths = [elements, elements, elements, seq_len * seq_len, elements];
    with_scratch(lengths, |[q, k, v, scores, result]| {
        widen(head.dtype, head.q, q);
        widen(head.dtype, head.k, k);
        widen(head.dtype, head.v, v);
        head.scores(q, k, scores);
        for (query, row) in scores.chunks_mut(seq_len).enumerate() {
            let (seen, masked) = row.split_at_mut(if head.causal { query + 1 } else { seq_len });
            let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum = exponentials(seen, largest);
            seen.iter_mut().for_each(|weight| *weight /= sum);
            masked.fill(0.0);
        }
        let shape = GemmShape { m: seq_len, n: head.dim, k: seq_len };
        Product::of(shape).run(scores, v, result, Parallelism::None);
        narrow(head.dtype, result, o);
    });
}
