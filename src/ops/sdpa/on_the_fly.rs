//! Attention over tensors that are kept without padding: each launch pads Q, K and V.

use super::{Attend, SdpaProblem};
use crate::device::Cuda;
use crate::device::cuda::Tensor;
use crate::device::error::CaseError;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::resize::resize;
use crate::ops::verify::{self, POISON};
use crate::workload::operation::Sdpa;
use crate::workload::shape::SdpaShape;
use std::rc::Rc;

/// On the host: pads, attends, and cuts the result.
pub struct CpuSdpaOnTheFly<P> {
    dense: SdpaProblem<Vec<u16>>,
    padded: P,
}

impl<P: Attend<Vec<u16>>> CpuSdpaOnTheFly<P> {
    /// Around a plan over padded tensors; allocates and fills those without padding.
    pub fn new(mut padded: P, seed: u64) -> Self {
        let SdpaProblem { sdpa, dtype, .. } = *padded.problem_mut();
        CpuSdpaOnTheFly { dense: SdpaProblem::on_host(sdpa.unpadded(), dtype, seed), padded }
    }
}

impl<P: Attend<Vec<u16>>> Plan for CpuSdpaOnTheFly<P> {
    fn launch(&mut self) -> Result<(), CaseError> {
        let (dense, padded) = (&mut self.dense, self.padded.problem_mut());
        let (from, to) = (sizes(&dense.sdpa.shape), sizes(&padded.sdpa.shape));
        resize(&dense.q, from.q, &mut padded.q, to.q);
        resize(&dense.k, from.kv, &mut padded.k, to.kv);
        resize(&dense.v, from.kv, &mut padded.v, to.kv);
        self.padded.launch()?;
        resize(&self.padded.problem_mut().o, to.q, &mut dense.o, from.q);
        Ok(())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let SdpaProblem { q, k, v, o, .. } = self.padded.problem_mut();
        [q, k, v, o, &mut self.dense.o].into_iter().for_each(|tensor| tensor.fill(POISON));
        self.launch()?;
        verify::host_sdpa(&self.dense)
    }
}

/// On a GPU.
pub struct CudaSdpaOnTheFly {
    cuda: Rc<Cuda>,
    dense: SdpaProblem<Tensor>,
    padded: Box<dyn Attend<Tensor>>,
    /// Whether a launch also copies the result to a tensor without padding. Else it is a view of the padded one.
    cuts: bool,
}

impl CudaSdpaOnTheFly {
    /// The attention `sdpa`, around a plan over larger tensors; allocates and fills its own.
    ///
    /// # Errors
    /// Out of memory, or what the driver reports.
    pub fn new(
        cuda: &Rc<Cuda>,
        sdpa: Sdpa,
        mut padded: Box<dyn Attend<Tensor>>,
        seed: u64,
        cuts: bool,
    ) -> Result<Self, CaseError> {
        let dtype = padded.problem_mut().dtype;
        let dense = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        Ok(CudaSdpaOnTheFly { cuda: cuda.clone(), dense, padded, cuts })
    }

    fn cut(&mut self) -> Result<(), CaseError> {
        let (dense, padded) = (&mut self.dense, self.padded.problem_mut());
        let (from, to) = (sizes(&padded.sdpa.shape).q, sizes(&dense.sdpa.shape).q);
        let stream = self.cuda.stream();
        self.cuda.kernels().resize(stream, [&padded.o], [&mut dense.o], from.into(), to.into())
    }
}

impl Plan for CudaSdpaOnTheFly {
    fn launch(&mut self) -> Result<(), CaseError> {
        let (kernels, stream) = (self.cuda.kernels(), self.cuda.stream());
        let (dense, padded) = (&self.dense, self.padded.problem_mut());
        let (from, to) = (sizes(&dense.sdpa.shape), sizes(&padded.sdpa.shape));
        let SdpaProblem { q, k, v, .. } = padded;
        if from.q == from.kv {
            let (from, to) = (from.q.into(), to.q.into());
            kernels.resize(stream, [&dense.q, &dense.k, &dense.v], [q, k, v], from, to)?;
        } else {
            kernels.resize(stream, [&dense.q], [q], from.q.into(), to.q.into())?;
            let (from, to) = (from.kv.into(), to.kv.into());
            kernels.resize(stream, [&dense.k, &dense.v], [k, v], from, to)?;
        }
        self.padded.launch()?;
        if self.cuts { self.cut() } else { Ok(()) }
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let SdpaProblem { q, k, v, o, .. } = self.padded.problem_mut();
        for tensor in [q, k, v, o, &mut self.dense.o] {
            verify::cuda::poison(&self.cuda, tensor)?;
        }
        self.launch()?;
        if !self.cuts {
            self.cut()?;
        }
        verify::cuda::sdpa(&self.cuda, &self.dense)
    }
}

/// The tensors as matrices: a row for each token of each head.
struct Sizes {
    q: [usize; 2],
    kv: [usize; 2],
}

fn sizes(shape: &SdpaShape) -> Sizes {
    let columns = shape.head_dim;
    Sizes { q: [shape.elements() / columns, columns], kv: [shape.kv_elements() / columns, columns] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::sdpa::{CpuBlocked, CpuMath};
    use crate::workload::operation::Backend;
    use crate::workload::shape::DType;

    #[test]
    fn copies_within_the_launch_change_nothing() {
        for n_kv_heads in [None, Some(2)] {
            let shape = SdpaShape { batch: 2, seq_len: 70, n_heads: 4, n_kv_heads, head_dim: 112 };
            let padded = Sdpa { data_head_dim: 107, ..Sdpa::dense(shape, Backend::Auto) };
            for dtype in [DType::Fp16, DType::Bf16] {
                let host = |sdpa| SdpaProblem::on_host(sdpa, dtype, 42);
                let mut dense = CpuBlocked(host(padded.unpadded()));
                dense.launch().unwrap();
                let mut plan = CpuSdpaOnTheFly::new(CpuBlocked(host(padded)), 42);
                plan.verify().unwrap();
                assert_eq!(plan.dense.o, dense.0.o);
                CpuSdpaOnTheFly::new(CpuMath(host(padded)), 42).verify().unwrap();
            }
        }
    }
}
