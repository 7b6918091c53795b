//! Attention over tensors that are kept without padding: each launch pads Q, K and V.

use super::backend::Attend;
use super::problem::SdpaProblem;
use crate::device::{Cuda, cuda::Tensor};
use crate::ops::resize::resize;
use crate::ops::verify::{self, POISON};
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, Sdpa, SdpaShape};
use std::rc::Rc;

/// On the host: pads, attends, and cuts the result.
pub struct CpuSdpaOnTheFly {
    dense: SdpaProblem<Vec<u16>>,
    padded: Box<dyn Attend<Vec<u16>>>,
}

impl CpuSdpaOnTheFly {
    pub fn new(mut padded: Box<dyn Attend<Vec<u16>>>, seed: u64) -> Self {
        let SdpaProblem { sdpa, dtype, .. } = *padded.problem_mut();
        CpuSdpaOnTheFly { dense: SdpaProblem::on_host(sdpa.unpadded(), dtype, seed), padded }
    }
}

impl Plan for CpuSdpaOnTheFly {
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
        verify::host::sdpa(&self.dense, self.padded.scores())
    }
}

/// On a GPU.
pub struct CudaSdpaOnTheFly {
    cuda: Rc<Cuda>,
    dense: SdpaProblem<Tensor>,
    padded: Box<dyn Attend<Tensor>>,
    /// Whether a launch also copies the result to a tensor without padding, not a view of it.
    cuts: bool,
}

impl CudaSdpaOnTheFly {
    /// The attention `sdpa`, around a plan over larger tensors.
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
        Ok(self.cuda.kernels().resize([&padded.o], [&mut dense.o], from, to)?)
    }
}

impl Plan for CudaSdpaOnTheFly {
    fn launch(&mut self) -> Result<(), CaseError> {
        let kernels = self.cuda.kernels();
        let (dense, padded) = (&self.dense, self.padded.problem_mut());
        let (from, to) = (sizes(&dense.sdpa.shape), sizes(&padded.sdpa.shape));
        let SdpaProblem { q, k, v, .. } = padded;
        if from.q == from.kv {
            kernels.resize([&dense.q, &dense.k, &dense.v], [q, k, v], from.q, to.q)?;
        } else {
            kernels.resize([&dense.q], [q], from.q, to.q)?;
            kernels.resize([&dense.k, &dense.v], [k, v], from.kv, to.kv)?;
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
        verify::cuda::sdpa(&self.cuda, &self.dense, self.padded.scores())
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
    use crate::ops::sdpa::{cpu::CpuSdpa, cpu_blocked, cpu_math};
    use crate::workload::{Backend, DType};

    #[test]
    fn copies_within_the_launch_change_nothing() {
        for n_kv_heads in [None, Some(2)] {
            let shape = SdpaShape {
                batch: 2,
                seq_len: 70,
                kv_len: None,
                n_heads: 4,
                n_kv_heads,
                head_dim: 112,
            };
            let padded = Sdpa { data_head_dim: 107, ..Sdpa::dense(shape, Backend::Auto) };
            for dtype in DType::ALL {
                let host = |sdpa| SdpaProblem::on_host(sdpa, dtype, 42);
                let dense = cpu_blocked::attend;
                let problem = host(padded.unpadded());
                let mut dense = CpuSdpa { problem, attend: dense };
                dense.launch().unwrap();
                let on_the_fly = |attend| {
                    let padded = CpuSdpa { problem: host(padded), attend };
                    CpuSdpaOnTheFly::new(Box::new(padded), 42)
                };
                let mut plan = on_the_fly(cpu_blocked::attend);
                plan.verify().unwrap();
                assert_eq!(plan.dense.o, dense.problem.o);
                on_the_fly(cpu_math::attend).verify().unwrap();
            }
        }
    }
}
