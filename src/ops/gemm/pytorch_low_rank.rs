//! A low-rank pair by PyTorch: `F.linear` of `F.linear`, as `nn.Sequential` of two layers runs it.

use super::GemmProblem;
use super::pytorch::{c_of, operands};
use crate::device::torch::{Operand, Product, Session};
use crate::device::{Device, cuda::DeviceArray};
use crate::ops::plan::worst;
use crate::ops::pytorch::{Buffer, Kept, OnCuda};
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, Gemm, HostArray, Precision};
use std::mem::swap;
use std::rc::Rc;

/// The plan of a pair over seeded data.
pub fn low_rank_by_pytorch(
    session: &Rc<Session>,
    device: &Device,
    pair: [Gemm; 2],
    dtype: Precision,
    seed: u64,
) -> Result<Box<dyn Plan>, CaseError> {
    Ok(match device {
        Device::Cpu => {
            let problems = pair.map(|gemm| GemmProblem::on_host(gemm, dtype, seed));
            Box::new(PytorchLowRank::new(session, problems)?)
        }
        Device::Cuda(cuda) => {
            let [first, second] = pair.map(|gemm| GemmProblem::on_cuda(cuda, gemm, dtype, seed));
            let plan = PytorchLowRank::new(session, [first?, second?])?;
            Box::new(OnCuda { cuda: cuda.clone(), plan })
        }
    })
}

struct PytorchLowRank<B> {
    session: Rc<Session>,
    first: GemmProblem<B>,
    /// Its A is what the first made, copied there for the check alone.
    second: GemmProblem<B>,
    x: Operand,
    weights: [Operand; 2],
    results: [Kept; 2],
}

impl<B: Buffer> PytorchLowRank<B> {
    fn new(session: &Rc<Session>, [first, second]: [GemmProblem<B>; 2]) -> Result<Self, CaseError> {
        let [x, v] = operands(session, &first)?;
        let [_, u] = operands(session, &second)?;
        let (session, weights, results) = (session.clone(), [v, u], Default::default());
        let mut plan = PytorchLowRank { session, first, second, x, weights, results };
        // PyTorch allocates at the first call, which a captured one must not.
        plan.multiply(false)?;
        Ok(plan)
    }

    /// Into memory filled with NaN, where that is asked for.
    fn multiply(&mut self, poisoned: bool) -> Result<(), CaseError> {
        let PytorchLowRank { session, first, second, x, weights: [v, u], results } = self;
        let ([hidden, result], precision) = (results, first.dtype);
        let operands = || [(&*x, first.a.memory()), (&*v, first.b.memory())];
        let down = || session.multiply(Product::Linear, operands(), precision);
        if poisoned {
            hidden.launch_poisoned(down)?
        } else {
            hidden.launch(down)?
        }
        let Some(hidden) = hidden.result() else { return Ok(()) };
        let up = || session.linear_of(hidden, (u, second.b.memory()), precision);
        if poisoned { result.launch_poisoned(up) } else { result.launch(up) }
    }

    /// A launch whose results are in both C, for the check.
    fn launch_into_nan(&mut self) -> Result<(), CaseError> {
        self.multiply(true)?;
        let [hidden, result] = &self.results;
        hidden.copy_to(&self.session, c_of(&mut self.first))?;
        result.copy_to(&self.session, c_of(&mut self.second))
    }

    /// Compares both results with the reference.
    fn check(
        &mut self,
        check: impl Fn(&GemmProblem<B>) -> Result<Verification, CaseError>,
    ) -> Result<Verification, CaseError> {
        let of_first = check(&self.first);
        swap(&mut self.first.c, &mut self.second.a);
        let of_second = check(&self.second);
        swap(&mut self.first.c, &mut self.second.a);
        worst([of_first, of_second].into_iter())
    }
}

impl Plan for PytorchLowRank<HostArray> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.multiply(false)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::host::poison(&mut self.first.c);
        verify::host::poison(&mut self.second.c);
        self.launch_into_nan()?;
        self.check(verify::host::gemm)
    }
}

impl Plan for OnCuda<PytorchLowRank<DeviceArray>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.multiply(false)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        let OnCuda { cuda, plan } = self;
        verify::cuda::poison_array(cuda, &mut plan.first.c)?;
        verify::cuda::poison_array(cuda, &mut plan.second.c)?;
        plan.launch_into_nan()?;
        plan.check(|problem| verify::cuda::gemm(cuda, problem))
    }
}
