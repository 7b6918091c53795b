//! From a case to its plan on a device.

use crate::case::{Case, Gemm, Operation};
use crate::device::Device;
use crate::device::cuda::Matmul;
use crate::gemm::{CpuGemm, CublasLtGemm, GemmProblem};
use crate::plan::{CaseError, Plan, Sequence};
use crate::sdpa::{self, Attention};
use crate::shape::{DType, GemmShape};
use std::cell::RefCell;
use std::collections::HashMap;

/// Makes the plans of one device.
pub struct Planner {
    device: Device,
    seed: u64,
    attention: Attention,
    /// Algorithms chosen so far, so that every round has the same: by product, and whether all were tried.
    algorithms: RefCell<HashMap<(GemmShape, DType, bool), Matmul>>,
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
        let attention = Attention::new(device.clone());
        Planner { attention, device, seed, algorithms: RefCell::default() }
    }

    /// Chooses the algorithm, allocates and fills the operands.
    ///
    /// # Errors
    /// Why this case cannot be timed on this device.
    pub fn plan(&self, case: &Case) -> Result<Planned, CaseError> {
        let product = |gemm: &Gemm| self.product(*gemm, case.dtype, false);
        match &case.operation {
            Operation::Gemm(gemm) => Ok(Planned { plan: product(gemm)?, backend: None }),
            Operation::GemmBest(gemm) => {
                let plan = self.product(*gemm, case.dtype, true)?;
                Ok(Planned { plan, backend: None })
            }
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

    fn product(&self, gemm: Gemm, dtype: DType, try_all: bool) -> Result<Box<dyn Plan>, CaseError> {
        let cuda = match &self.device {
            Device::Cpu if try_all => {
                return Err(CaseError::unsupported("the CPU has one algorithm for a product"));
            }
            Device::Cpu => {
                let problem = GemmProblem::on_host(gemm, dtype, self.seed);
                return Ok(Box::new(CpuGemm::new(problem)));
            }
            Device::Cuda(cuda) => cuda,
        };
        let key = (gemm.shape, dtype, try_all);
        let known = self.algorithms.borrow().get(&key).cloned();
        let matmul = match known {
            Some(matmul) => matmul,
            None if try_all => CublasLtGemm::fastest(cuda, gemm, dtype, self.seed)?,
            None => cuda.lt().algorithms(gemm.shape, dtype, 1)?.swap_remove(0),
        };
        self.algorithms.borrow_mut().insert(key, matmul.clone());
        Ok(Box::new(CublasLtGemm::with(cuda, gemm, dtype, self.seed, matmul)?))
    }
}
