//! From a case to its plan on a device.

use crate::case::{Case, Gemm, Operation, Sdpa};
use crate::device::Device;
use crate::gemm::{self, GemmProblem};
use crate::plan::{CaseError, Plan, Sequence};
use crate::sdpa::{self, Attention, Extent};
use crate::shape::DType;

/// Makes the plans of one device.
pub struct Planner {
    device: Device,
    seed: u64,
    attention: Attention,
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
        Planner { attention: Attention::new(device.clone()), device, seed }
    }

    /// Chooses the algorithm, allocates and fills the operands.
    ///
    /// # Errors
    /// Why this case cannot be timed on this device.
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let plan = match &case.operation {
            Operation::Sdpa(sdpa) => return self.attend(*sdpa, Extent::Whole, case.dtype),
            Operation::SdpaOnTheFly(sdpa) => {
                return self.attend(*sdpa, Extent::OnTheFly, case.dtype);
            }
            Operation::SdpaKernelOnly(sdpa) => {
                return self.attend(*sdpa, Extent::KernelOnly, case.dtype);
            }
            Operation::Gemm(gemm) => self.product(*gemm, case.dtype),
            Operation::GemmOnTheFly(gemm) => self.on_the_fly(*gemm, case.dtype),
            Operation::GemmSequence(parts) => {
                let plans = parts.iter().map(|part| self.product(*part, case.dtype));
                Ok(Box::new(Sequence(plans.collect::<Result<_, _>>()?)) as Box<dyn Plan>)
            }
            Operation::GemmGrouped(parts) => self.grouped(parts, case.dtype),
            Operation::GemmConcurrent(parts) => self.concurrent(parts, case.dtype),
        }?;
        Ok(Planned { plan, backend: None })
    }

    /// Whether a variant exists on this device. One that does not is left out of a run: its row says all there is.
    pub fn offers(&self, case: &Case) -> bool {
        match (&case.operation, &self.device) {
            (Operation::GemmGrouped(_), Device::Cpu) => false,
            (Operation::SdpaKernelOnly(sdpa), _) => self.attention.pads(sdpa, case.dtype),
            _ => true,
        }
    }

    fn attend(&self, sdpa: Sdpa, extent: Extent, dtype: DType) -> Result<Planned, CaseError> {
        let (plan, chosen) = self.attention.plan(sdpa, extent, dtype, self.seed)?;
        Ok(Planned { plan, backend: Some(chosen) })
    }

    fn product(&self, gemm: Gemm, dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => {
                Box::new(gemm::CpuGemm::new(GemmProblem::on_host(gemm, dtype, self.seed)))
            }
            Device::Cuda(cuda) => Box::new(gemm::CublasGemm::new(cuda, gemm, dtype, self.seed)?),
        })
    }

    fn on_the_fly(&self, gemm: Gemm, dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => Box::new(gemm::CpuGemmOnTheFly::new(gemm, dtype, self.seed)),
            Device::Cuda(cuda) => {
                let padded = gemm::CublasGemm::new(cuda, gemm, dtype, self.seed)?;
                Box::new(gemm::CublasGemmOnTheFly::new(cuda, padded, self.seed)?)
            }
        })
    }

    fn grouped(&self, parts: &[Gemm], dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        match &self.device {
            Device::Cpu => {
                Err(CaseError::unsupported("one call for several products needs a CUDA GPU"))
            }
            Device::Cuda(cuda) => {
                Ok(Box::new(gemm::CublasGrouped::new(cuda, parts, dtype, self.seed)?))
            }
        }
    }

    fn concurrent(&self, parts: &[Gemm], dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => Box::new(gemm::CpuConcurrent::new(parts, dtype, self.seed)),
            Device::Cuda(cuda) => {
                let plan = |&part: &Gemm| gemm::CublasGemm::new(cuda, part, dtype, self.seed);
                let parts = parts.iter().map(plan).collect::<Result<_, _>>()?;
                Box::new(gemm::CublasConcurrent::new(cuda, parts)?)
            }
        })
    }
}
