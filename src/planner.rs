//! From a case to its plan on a device.

use crate::case::{Case, Gemm, Operation};
use crate::device::Device;
use crate::fault::Fault;
use crate::gemm::{self, GemmProblem};
use crate::plan::{CaseError, Plan, Sequence};
use crate::sdpa::{self, Attention};
use crate::shape::DType;

/// Makes the plans of one device.
pub struct Planner {
    device: Device,
    seed: u64,
    attention: Attention,
    fault: Option<Fault>,
}

/// A plan, and which backend it is where there is a choice.
pub struct Planned {
    /// Ready to launch.
    pub plan: Box<dyn Plan>,
    /// The attention backend.
    pub backend: Option<sdpa::Chosen>,
}

impl Planner {
    /// Plans for `device`, on data seeded with `seed`.
    pub fn new(device: Device, seed: u64) -> Self {
        Planner { attention: Attention::new(device.clone()), device, seed, fault: None }
    }

    /// The same with a fault in the plans it is about.
    pub fn with_fault(self, fault: Option<Fault>) -> Self {
        Planner { fault, ..self }
    }

    /// Chooses the algorithm, allocates and fills the operands.
    ///
    /// # Errors
    /// Why this case cannot be timed on this device.
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let planned = self.sound_plan(case)?;
        match &self.fault {
            None => Ok(planned),
            Some(fault) => {
                let plan = fault.apply(&case.id, planned.plan, &self.device)?;
                Ok(Planned { plan, ..planned })
            }
        }
    }

    fn sound_plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let product = |gemm: &Gemm| self.product(*gemm, case.dtype);
        match &case.operation {
            Operation::Gemm(gemm) => Ok(Planned { plan: product(gemm)?, backend: None }),
            Operation::GemmSequence(parts) => {
                let plans = parts.iter().map(product).collect::<Result<_, _>>()?;
                Ok(Planned { plan: Box::new(Sequence(plans)), backend: None })
            }
            Operation::Sdpa(sdpa) => {
                let (plan, chosen) = self.attention.plan(*sdpa, case.dtype, self.seed)?;
                Ok(Planned { plan, backend: Some(chosen) })
            }
        }
    }

    fn product(&self, gemm: Gemm, dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => {
                Box::new(gemm::CpuGemm::new(GemmProblem::on_host(gemm, dtype, self.seed)))
            }
            Device::Cuda(cuda) => Box::new(gemm::CublasGemm::new(cuda, gemm, dtype, self.seed)?),
        })
    }
}
