//! From a case to its plan on a device.

use crate::device::cuda::Matmul;
use crate::device::{Cuda, Device};
use crate::ops::error::CaseError;
use crate::ops::gemm::{
    CpuConcurrent, CpuGemm, CpuGemmOnTheFly, CublasGrouped, CublasLtGemm, CudaConcurrent,
    CudaGemmOnTheFly, GemmProblem,
};
use crate::ops::plan::{Plan, Sequence};
use crate::ops::sdpa::{self, Attention, Extent};
use crate::workload::case::Case;
use crate::workload::operation::{Gemm, Operation, Sdpa};
use crate::workload::provider::Provider;
use crate::workload::shape::{DType, GemmShape};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Makes the plans of one device.
pub struct Planner {
    device: Device,
    seed: u64,
    attention: Attention,
    /// Algorithms chosen so far, so that every trial has the same: by GEMM, and whether all were
    /// tried.
    algorithms: RefCell<HashMap<(GemmShape, DType, bool), Matmul>>,
}

/// A plan, whose it is, and which backend where there is a choice.
pub struct Planned {
    /// Ready to launch.
    pub plan: Box<dyn Plan>,
    /// Whose implementation it is.
    pub provider: Provider,
    /// The attention backend.
    pub backend: Option<sdpa::Chosen>,
}

impl Planner {
    /// Plans for `device`, on data seeded with `seed`.
    pub fn new(device: Device, seed: u64) -> Self {
        let attention = Attention::new(device.clone());
        Planner { attention, device, seed, algorithms: RefCell::default() }
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
            Operation::Gemm(gemm) => self.gemm(*gemm, case.dtype, false),
            Operation::GemmBest(gemm) => self.gemm(*gemm, case.dtype, true),
            Operation::GemmOnTheFly(gemm) => self.on_the_fly(*gemm, case.dtype),
            Operation::GemmSequence(parts) => {
                let plans = parts.iter().map(|part| self.gemm(*part, case.dtype, false));
                Ok(Box::new(Sequence(plans.collect::<Result<_, _>>()?)) as Box<dyn Plan>)
            }
            Operation::GemmGrouped(parts) => self.grouped(parts, case.dtype),
            Operation::GemmConcurrent(parts) => self.concurrent(parts, case.dtype),
        }?;
        let provider = match (&self.device, &case.operation) {
            (Device::Cpu, _) => Provider::Cpu,
            (Device::Cuda(_), Operation::GemmGrouped(_)) => Provider::Cublas,
            (Device::Cuda(_), _) => Provider::CublasLt,
        };
        Ok(Planned { plan, provider, backend: None })
    }

    /// Whether a variant exists on this device. One that does not is left out of a run: its row
    /// says all there is.
    pub fn offers(&self, case: &Case) -> bool {
        match (&case.operation, &self.device) {
            (Operation::GemmGrouped(_) | Operation::GemmBest(_), Device::Cpu) => false,
            (Operation::SdpaKernelOnly(sdpa), _) => self.attention.pads(sdpa, case.dtype),
            _ => true,
        }
    }

    fn attend(&self, sdpa: Sdpa, extent: Extent, dtype: DType) -> Result<Planned, CaseError> {
        let (plan, chosen) = self.attention.plan(sdpa, extent, dtype, self.seed)?;
        let provider = self.attention.provider(chosen.route.backend)?;
        Ok(Planned { plan, provider, backend: Some(chosen) })
    }

    fn gemm(&self, gemm: Gemm, dtype: DType, try_all: bool) -> Result<Box<dyn Plan>, CaseError> {
        let cuda = match &self.device {
            Device::Cpu if try_all => {
                return Err(CaseError::unsupported("the CPU has one algorithm for a GEMM"));
            }
            Device::Cpu => {
                let problem = GemmProblem::on_host(gemm, dtype, self.seed);
                return Ok(Box::new(CpuGemm::new(problem)));
            }
            Device::Cuda(cuda) => cuda,
        };
        Ok(Box::new(self.cublaslt(cuda, gemm, dtype, try_all)?))
    }

    /// The GEMM by the algorithm that was chosen for it, now or before.
    fn cublaslt(
        &self,
        cuda: &Rc<Cuda>,
        gemm: Gemm,
        dtype: DType,
        try_all: bool,
    ) -> Result<CublasLtGemm, CaseError> {
        let key = (gemm.shape, dtype, try_all);
        let known = self.algorithms.borrow().get(&key).cloned();
        let matmul = match known {
            Some(matmul) => matmul,
            None if try_all => CublasLtGemm::fastest(cuda, gemm, dtype, self.seed)?,
            None => cuda.lt().algorithms(gemm.shape, dtype, 1)?.swap_remove(0),
        };
        self.algorithms.borrow_mut().insert(key, matmul.clone());
        CublasLtGemm::with(cuda, gemm, dtype, self.seed, matmul)
    }

    fn on_the_fly(&self, gemm: Gemm, dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => Box::new(CpuGemmOnTheFly::new(gemm, dtype, self.seed)),
            Device::Cuda(cuda) => {
                let padded = self.cublaslt(cuda, gemm, dtype, false)?;
                Box::new(CudaGemmOnTheFly::new(cuda, padded, self.seed)?)
            }
        })
    }

    fn grouped(&self, parts: &[Gemm], dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        match &self.device {
            Device::Cpu => {
                Err(CaseError::unsupported("one call for several GEMMs needs a CUDA GPU"))
            }
            Device::Cuda(cuda) => Ok(Box::new(CublasGrouped::new(cuda, parts, dtype, self.seed)?)),
        }
    }

    fn concurrent(&self, parts: &[Gemm], dtype: DType) -> Result<Box<dyn Plan>, CaseError> {
        Ok(match &self.device {
            Device::Cpu => Box::new(CpuConcurrent::new(parts, dtype, self.seed)),
            Device::Cuda(cuda) => {
                let plan = |&part: &Gemm| self.cublaslt(cuda, part, dtype, false);
                let parts = parts.iter().map(plan).collect::<Result<_, _>>()?;
                Box::new(CudaConcurrent::new(cuda, parts)?)
            }
        })
    }
}
