//! A low-rank pair: two GEMMs, one after the other, the second over the first's result.

use super::{CpuGemm, CublasLtGemm, GemmProblem};
use crate::device::cuda::DeviceArray;
use crate::ops::plan::worst;
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, HostArray};
use std::mem::swap;

/// A plan of one GEMM whose buffers another one may share.
pub trait Part: Plan {
    /// Its buffers.
    type Buffer;
    /// The GEMM and its matrices.
    fn problem(&mut self) -> &mut GemmProblem<Self::Buffer>;
    /// Fills its result with NaN.
    fn poison(&mut self) -> Result<(), CaseError>;
    /// Compares its result with the reference.
    fn check(&mut self) -> Result<Verification, CaseError>;
}

/// Both, counted as one launch.
pub struct LowRank<P> {
    first: P,
    /// Holds the result of the first as its A.
    second: P,
}

impl<P: Part> LowRank<P> {
    /// Of GEMMs where the first's result has the size of the second's A.
    pub fn new(first: P, second: P) -> Self {
        LowRank { first, second }
    }

    /// The first one at work: its result lies where the second reads it.
    fn first<T>(&mut self, work: impl FnOnce(&mut P) -> T) -> T {
        swap(&mut self.first.problem().c, &mut self.second.problem().a);
        let done = work(&mut self.first);
        swap(&mut self.first.problem().c, &mut self.second.problem().a);
        done
    }
}

impl<P: Part> Plan for LowRank<P> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.first(|first| first.launch())?;
        self.second.launch()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.first(|first| first.poison())?;
        self.second.poison()?;
        self.launch()?;
        worst([self.first(|first| first.check()), self.second.check()].into_iter())
    }
}

impl Part for CpuGemm {
    type Buffer = HostArray;

    fn problem(&mut self) -> &mut GemmProblem<HostArray> {
        &mut self.problem
    }

    fn poison(&mut self) -> Result<(), CaseError> {
        verify::host::poison(&mut self.problem.c);
        Ok(())
    }

    fn check(&mut self) -> Result<Verification, CaseError> {
        verify::host::gemm(&self.problem)
    }
}

impl Part for CublasLtGemm {
    type Buffer = DeviceArray;

    fn problem(&mut self) -> &mut GemmProblem<DeviceArray> {
        &mut self.problem
    }

    fn poison(&mut self) -> Result<(), CaseError> {
        verify::cuda::poison_array(&self.cuda, &mut self.problem.c)
    }

    fn check(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::gemm(&self.cuda, &self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Gemm, GemmLayout, GemmShape, Precision};

    fn pair(rank: usize, padded: usize) -> LowRank<CpuGemm> {
        let part = |data: GemmShape, shape: GemmShape| {
            let gemm = Gemm { shape, layout: GemmLayout::Nt, ..Gemm::dense(data) };
            CpuGemm::new(GemmProblem::on_host(gemm, Precision::Fp16, 42))
        };
        let (down, up) = (GemmShape { m: 9, n: rank, k: 33 }, GemmShape { m: 9, n: 21, k: rank });
        LowRank::new(
            part(down, GemmShape { n: padded, ..down }),
            part(up, GemmShape { k: padded, ..up }),
        )
    }

    #[test]
    fn the_second_multiplies_what_the_first_made() {
        let mut plan = pair(13, 13);
        let verification = plan.verify().unwrap();
        assert_eq!(verification.rows, 18);
        // The operand that the second was made with is no part of it.
        let result = plan.second.problem.c.clone();
        verify::host::poison(&mut plan.first.problem.c);
        verify::host::poison(&mut plan.second.problem.c);
        plan.launch().unwrap();
        assert_eq!(plan.second.problem.c, result);
    }

    #[test]
    fn a_first_that_is_left_out_shows() {
        let mut plan = pair(13, 13);
        plan.verify().unwrap();
        plan.second.problem.a.set(0, 1000.0);
        assert!(plan.first(|first| first.check()).is_err());
    }

    #[test]
    fn a_padded_rank_changes_nothing() {
        let [mut dense, mut padded] = [pair(13, 13), pair(13, 16)];
        dense.verify().unwrap();
        padded.verify().unwrap();
        assert_eq!(dense.second.problem.c, padded.second.problem.c);
    }
}
