//! From a case to its plan on a device.

use crate::device::{Cuda, Device, cuda::Matmul};
use crate::ops::Plan;
use crate::ops::gemm::{
    CpuConcurrent, CpuGemm, CpuGemmOnTheFly, CublasGrouped, CublasLtGemm, CudaConcurrent,
    CudaGemmOnTheFly, GemmProblem,
};
use crate::ops::plan::Sequence;
use crate::ops::sdpa::{self, Attention, Extent};
use crate::workload::{
    Case, CaseError, DType, Gemm, GemmShape, Operation, Provider, ProviderChoice, Sdpa,
};
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
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let (dtype, seed) = (case.dtype, self.seed);
        let unsupported = |reason| Err(CaseError::unsupported(reason));
        let is_pytorchs = |gemm: &Gemm| gemm.provider == ProviderChoice::Pytorch;
        if case.operation.gemms().iter().any(is_pytorchs) {
            return unsupported("there is no PyTorch");
        }
        let on_host = |&gemm: &Gemm| CpuGemm::new(GemmProblem::on_host(gemm, dtype, seed));
        let plan: Box<dyn Plan> = match (&case.operation, &self.device) {
            (Operation::Sdpa(sdpa), _) => return self.attend(*sdpa, Extent::Whole, dtype),
            (Operation::SdpaOnTheFly(sdpa), _) => {
                return self.attend(*sdpa, Extent::OnTheFly, dtype);
            }
            (Operation::SdpaKernelOnly(sdpa), _) => {
                return self.attend(*sdpa, Extent::KernelOnly, dtype);
            }
            (Operation::Gemm(gemm), Device::Cpu) => Box::new(on_host(gemm)),
            (Operation::GemmOnTheFly(gemm), Device::Cpu) => {
                Box::new(CpuGemmOnTheFly::new(*gemm, dtype, seed))
            }
            (Operation::GemmSequence(parts), Device::Cpu) => {
                Box::new(Sequence(parts.iter().map(on_host).collect()))
            }
            (Operation::GemmConcurrent(parts), Device::Cpu) => {
                Box::new(CpuConcurrent(parts.iter().map(on_host).collect()))
            }
            (Operation::GemmBest(_), Device::Cpu) => {
                return unsupported("the CPU has one algorithm for a GEMM");
            }
            (Operation::GemmGrouped(_), Device::Cpu) => {
                return unsupported("one call for several GEMMs needs a CUDA GPU");
            }
            (Operation::Gemm(gemm), Device::Cuda(cuda)) => {
                Box::new(self.cublaslt(cuda, gemm, dtype, false)?)
            }
            (Operation::GemmBest(gemm), Device::Cuda(cuda)) => {
                Box::new(self.cublaslt(cuda, gemm, dtype, true)?)
            }
            (Operation::GemmOnTheFly(gemm), Device::Cuda(cuda)) => {
                let padded = self.cublaslt(cuda, gemm, dtype, false)?;
                Box::new(CudaGemmOnTheFly::new(cuda, padded, seed)?)
            }
            (Operation::GemmSequence(parts), Device::Cuda(cuda)) => {
                Box::new(Sequence(self.each(cuda, parts, dtype)?))
            }
            (Operation::GemmConcurrent(parts), Device::Cuda(cuda)) => {
                Box::new(CudaConcurrent::new(cuda, self.each(cuda, parts, dtype)?)?)
            }
            (Operation::GemmGrouped(parts), Device::Cuda(cuda)) => {
                Box::new(CublasGrouped::new(cuda, parts, dtype, seed)?)
            }
        };
        let provider = match (&self.device, &case.operation) {
            (Device::Cpu, _) => Provider::Cpu,
            (Device::Cuda(_), Operation::GemmGrouped(_)) => Provider::Cublas,
            (Device::Cuda(_), _) => Provider::CublasLt,
        };
        Ok(Planned { plan, provider, backend: None })
    }

    /// Whether a variant exists on this device; one that does not is left out of a run.
    pub fn offers(&self, case: &Case) -> bool {
        match (&case.operation, &self.device) {
            (Operation::GemmGrouped(_) | Operation::GemmBest(_), Device::Cpu) => false,
            (Operation::SdpaKernelOnly(sdpa), _) => self.attention.pads(sdpa),
            _ => true,
        }
    }

    fn attend(&self, sdpa: Sdpa, extent: Extent, dtype: DType) -> Result<Planned, CaseError> {
        let (plan, chosen) = self.attention.plan(sdpa, extent, dtype, self.seed)?;
        let provider = self.attention.provider(chosen.route.backend)?;
        Ok(Planned { plan, provider, backend: Some(chosen) })
    }

    /// The GEMM by the algorithm that was chosen for it, now or before.
    fn cublaslt(
        &self,
        cuda: &Rc<Cuda>,
        gemm: &Gemm,
        dtype: DType,
        try_all: bool,
    ) -> Result<CublasLtGemm, CaseError> {
        let key = (gemm.shape, dtype, try_all);
        let known = self.algorithms.borrow().get(&key).cloned();
        let matmul = match known {
            Some(matmul) => matmul,
            None if try_all => CublasLtGemm::fastest(cuda, *gemm, dtype, self.seed)?,
            None => cuda.lt().algorithms(gemm.shape, dtype, 1)?.swap_remove(0),
        };
        self.algorithms.borrow_mut().insert(key, matmul.clone());
        CublasLtGemm::with(cuda, *gemm, dtype, self.seed, matmul)
    }

    fn each(
        &self,
        cuda: &Rc<Cuda>,
        parts: &[Gemm],
        dtype: DType,
    ) -> Result<Vec<CublasLtGemm>, CaseError> {
        parts.iter().map(|part| self.cublaslt(cuda, part, dtype, false)).collect()
    }
}
