//! From a case to its plan on a device.

use crate::device::torch::{Session, Versions};
use crate::device::{Cuda, Device, cuda::Matmul};
use crate::ops::Plan;
use crate::ops::gemm::{
    self, CpuConcurrent, CpuGemm, CpuGemmOnTheFly, CublasGrouped, CublasLtGemm, CudaConcurrent,
    CudaGemmOnTheFly, GemmProblem, LowRank,
};
use crate::ops::plan::{MAX_SETS, Rotating, Sequence, sets_beyond_l2};
use crate::ops::sdpa::{self, Attention, Extent};
use crate::workload::{
    Case, CaseError, Gemm, GemmLayout, GemmShape, Operation, Precision, Provider, ProviderChoice,
    Sdpa,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Makes the plans of one device.
pub struct Planner {
    device: Device,
    torch: Option<Rc<Session>>,
    seed: u64,
    attention: Attention,
    /// Algorithms chosen so far, so that every trial has the same.
    algorithms: RefCell<HashMap<Asked, Matmul>>,
}

/// What an algorithm was chosen for: shape, layout and batch of a GEMM, its precision, and
/// whether all algorithms were tried.
type Asked = (GemmShape, GemmLayout, usize, Precision, bool);

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
    /// Plans for `device` and the PyTorch on it, on data seeded with `seed`.
    pub fn new(device: Device, torch: Option<Rc<Session>>, seed: u64) -> Self {
        let attention = Attention::new(device.clone(), torch.clone());
        Planner { attention, device, torch, seed, algorithms: RefCell::default() }
    }

    /// The PyTorch that plans may be of.
    pub fn torch(&self) -> Option<&Session> {
        self.torch.as_deref()
    }

    /// The versions that identify what a provider runs; only PyTorch's are not those of the whole
    /// process.
    pub fn versions_of(&self, provider: Provider) -> Option<Versions> {
        let session = self.torch.as_ref().filter(|_| provider == Provider::Pytorch);
        session.map(|session| session.versions())
    }

    /// Compiles the kernels that these cases need, on all cores: one after the other they may take
    /// minutes the first time.
    pub fn compile_ahead(&self, cases: &[Case]) {
        let of_case = |case: &Case| {
            let Some(dtype) = case.dtype.half() else { return Vec::new() };
            let parts = case.operation.parts().iter().filter_map(|part| part.sdpa().copied());
            parts.map(|sdpa| (sdpa, dtype)).collect::<Vec<_>>()
        };
        self.attention.compile_ahead(cases.iter().flat_map(of_case));
    }

    /// Chooses the algorithm, allocates and fills the operands.
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        self.plan_of(&case.operation, case.dtype)
    }

    fn plan_of(&self, operation: &Operation, dtype: Precision) -> Result<Planned, CaseError> {
        match operation {
            Operation::Cold(warm) => {
                let Planned { plan, provider, backend } = self.plan_of(warm, dtype)?;
                let mut plans = vec![plan];
                for _ in 1..self.sets(warm.bytes(dtype)) {
                    plans.push(self.plan_of(warm, dtype)?.plan);
                }
                Ok(Planned { plan: Box::new(Rotating::new(plans)), provider, backend })
            }
            Operation::Layer(parts) => {
                let planned = parts.iter().map(|part| self.plan_of(part, dtype));
                let planned: Vec<Planned> = planned.collect::<Result<_, CaseError>>()?;
                // That of its GEMMs, with which a layer begins.
                let provider = planned.first().map(|first| first.provider);
                let provider = provider.ok_or_else(|| CaseError::unsupported("an empty layer"))?;
                let plans = planned.into_iter().map(|planned| planned.plan).collect();
                Ok(Planned { plan: Box::new(Sequence(plans)), provider, backend: None })
            }
            _ => self.plan_of_one(operation, dtype),
        }
    }

    /// Of one that is neither of several kinds nor cold.
    fn plan_of_one(&self, operation: &Operation, dtype: Precision) -> Result<Planned, CaseError> {
        let seed = self.seed;
        let unsupported = |reason| Err(CaseError::unsupported(reason));
        if let (Device::Cpu, Some(refusal)) = (&self.device, CpuGemm::refusal(dtype)) {
            return Err(CaseError::unsupported(refusal));
        }
        if operation.gemms().iter().any(is_pytorchs) {
            let plan = self.by_pytorch(operation, dtype)?;
            return Ok(Planned { plan, provider: Provider::Pytorch, backend: None });
        }
        let on_host = |&gemm: &Gemm| CpuGemm::new(GemmProblem::on_host(gemm, dtype, seed));
        let boxed = |gemm: &Gemm| Box::new(on_host(gemm)) as Box<dyn Plan>;
        let plan: Box<dyn Plan> = match (operation, &self.device) {
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
                Box::new(Sequence(parts.iter().map(boxed).collect()))
            }
            (Operation::GemmConcurrent(parts), Device::Cpu) => {
                Box::new(CpuConcurrent(parts.iter().map(on_host).collect()))
            }
            (Operation::LowRank(pair), Device::Cpu) => {
                let [first, second] = pair.each_ref().map(on_host);
                Box::new(LowRank::new(first, second))
            }
            (Operation::Cold(_) | Operation::Layer(_), _) => return self.plan_of(operation, dtype),
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
                let parts = self.each(cuda, parts, dtype)?.into_iter();
                Box::new(Sequence(parts.map(|part| Box::new(part) as _).collect()))
            }
            (Operation::GemmConcurrent(parts), Device::Cuda(cuda)) => {
                Box::new(CudaConcurrent::new(cuda, self.each(cuda, parts, dtype)?)?)
            }
            (Operation::LowRank([first, second]), Device::Cuda(cuda)) => {
                let part = |gemm| self.cublaslt(cuda, gemm, dtype, false);
                Box::new(LowRank::new(part(first)?, part(second)?))
            }
            (Operation::GemmGrouped(parts), Device::Cuda(cuda)) => {
                Box::new(CublasGrouped::new(cuda, parts, dtype, seed)?)
            }
        };
        let provider = match (&self.device, operation) {
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
            // Another stream than the one that PyTorch works on.
            (Operation::GemmConcurrent(parts), _) => !parts.iter().any(is_pytorchs),
            (Operation::SdpaKernelOnly(sdpa), _) => self.attention.pads(sdpa),
            _ => true,
        }
    }

    /// Sets of operands of `bytes` that fill the L2 cache twice. So many of a few kB each stay in
    /// it, as the activations of a real layer do.
    fn sets(&self, bytes: f64) -> usize {
        let Device::Cuda(cuda) = &self.device else { return 1 };
        (sets_beyond_l2(bytes, cuda.properties().l2_bytes) as usize).clamp(1, MAX_SETS)
    }

    fn attend(&self, sdpa: Sdpa, extent: Extent, dtype: Precision) -> Result<Planned, CaseError> {
        let dtype = dtype.half().ok_or_else(|| {
            CaseError::unsupported(format!("attention is fp16 or bf16, not {}", dtype.name()))
        })?;
        let (plan, chosen) = self.attention.plan(sdpa, extent, dtype, self.seed)?;
        Ok(Planned { plan, provider: chosen.provider, backend: Some(chosen) })
    }

    fn by_pytorch(
        &self,
        operation: &Operation,
        dtype: Precision,
    ) -> Result<Box<dyn Plan>, CaseError> {
        let Some(session) = &self.torch else {
            return Err(CaseError::unsupported("there is no PyTorch"));
        };
        let one = |&gemm: &Gemm| gemm::by_pytorch(session, &self.device, gemm, dtype, self.seed);
        match operation {
            Operation::Gemm(gemm) => one(gemm),
            Operation::GemmOnTheFly(gemm) => {
                gemm::by_pytorch_on_the_fly(session, &self.device, *gemm, dtype, self.seed)
            }
            Operation::GemmSequence(parts) => {
                Ok(Box::new(Sequence(parts.iter().map(one).collect::<Result<_, _>>()?)))
            }
            Operation::LowRank(pair) => {
                gemm::low_rank_by_pytorch(session, &self.device, *pair, dtype, self.seed)
            }
            _ => Err(CaseError::unsupported("PyTorch has no such call")),
        }
    }

    /// The GEMM by the algorithm that was chosen for it, now or before.
    fn cublaslt(
        &self,
        cuda: &Rc<Cuda>,
        gemm: &Gemm,
        dtype: Precision,
        try_all: bool,
    ) -> Result<CublasLtGemm, CaseError> {
        let key = (gemm.shape, gemm.layout, gemm.batch, dtype, try_all);
        let known = self.algorithms.borrow().get(&key).cloned();
        let matmul = match known {
            Some(matmul) => matmul,
            None if try_all => CublasLtGemm::fastest(cuda, *gemm, dtype, self.seed)?,
            None => cuda.lt().algorithms(gemm, dtype, 1)?.swap_remove(0),
        };
        self.algorithms.borrow_mut().insert(key, matmul.clone());
        CublasLtGemm::with(cuda, *gemm, dtype, self.seed, matmul)
    }

    fn each(
        &self,
        cuda: &Rc<Cuda>,
        parts: &[Gemm],
        dtype: Precision,
    ) -> Result<Vec<CublasLtGemm>, CaseError> {
        parts.iter().map(|part| self.cublaslt(cuda, part, dtype, false)).collect()
    }
}

fn is_pytorchs(gemm: &Gemm) -> bool {
    gemm.provider == ProviderChoice::Pytorch
}
