//! The GEMM by PyTorch: what `torch.matmul` and `F.linear` run.

use super::GemmProblem;
use crate::device::torch::{Operand, Output, Product, Session, Target};
use crate::device::{Device, DeviceError, cuda::Tensor};
use crate::ops::pytorch::{Buffer, Kept, OnCuda};
use crate::ops::verify::{self, POISON};
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, DType, Gemm, GemmShape, PaddedMatrix};
use std::rc::Rc;

/// The plan of a GEMM over seeded data, by the call of [`Product::of`].
pub fn by_pytorch(
    session: &Rc<Session>,
    device: &Device,
    gemm: Gemm,
    dtype: DType,
    seed: u64,
) -> Result<Box<dyn Plan>, CaseError> {
    Ok(match device {
        Device::Cpu => {
            Box::new(PytorchGemm::new(session, GemmProblem::on_host(gemm, dtype, seed))?)
        }
        Device::Cuda(cuda) => {
            let problem = GemmProblem::on_cuda(cuda, gemm, dtype, seed)?;
            Box::new(OnCuda { cuda: cuda.clone(), plan: PytorchGemm::new(session, problem)? })
        }
    })
}

/// The same over tensors that are kept without padding: each launch copies what is padded into
/// buffers whose padding is zero, and copies the first columns of the result where that is.
pub fn by_pytorch_on_the_fly(
    session: &Rc<Session>,
    device: &Device,
    gemm: Gemm,
    dtype: DType,
    seed: u64,
) -> Result<Box<dyn Plan>, CaseError> {
    Ok(match device {
        Device::Cpu => {
            let problem = |gemm, seed| Ok(GemmProblem::on_host(gemm, dtype, seed));
            Box::new(PytorchGemmOnTheFly::new(session, gemm, seed, problem)?)
        }
        Device::Cuda(cuda) => {
            let problem = |gemm, seed| GemmProblem::on_cuda(cuda, gemm, dtype, seed);
            let plan = PytorchGemmOnTheFly::new(session, gemm, seed, problem)?;
            Box::new(OnCuda { cuda: cuda.clone(), plan })
        }
    })
}

/// A GEMM of buffers `B`.
struct PytorchGemm<B> {
    session: Rc<Session>,
    problem: GemmProblem<B>,
    /// A and B.
    operands: [Operand; 2],
    result: Kept,
}

struct PytorchGemmOnTheFly<B> {
    dense: GemmProblem<B>,
    /// A and B.
    operands: [Operand; 2],
    padded: PytorchGemm<B>,
}

impl<B: Buffer> PytorchGemm<B> {
    fn new(session: &Rc<Session>, problem: GemmProblem<B>) -> Result<Self, CaseError> {
        let operands = operands(session, &problem)?;
        let session = session.clone();
        let mut plan = PytorchGemm { session, problem, operands, result: Kept::default() };
        // PyTorch allocates at the first call, which a captured one must not.
        plan.multiply()?;
        Ok(plan)
    }

    fn multiply(&mut self) -> Result<(), CaseError> {
        let PytorchGemm { session, problem, operands, result } = self;
        result.launch(|| multiply(session, problem, operands))
    }

    fn multiply_into_nan(&mut self) -> Result<(), CaseError> {
        let PytorchGemm { session, problem, operands, result } = self;
        result.launch_poisoned(|| multiply(session, problem, operands))
    }

    /// Copies the result of the last launch to C, for the check.
    fn copy_to_c(&mut self) -> Result<(), CaseError> {
        let PytorchGemm { session, problem, result, .. } = self;
        result.copy_to(session, c_of(problem))
    }
}

impl<B: Buffer> PytorchGemmOnTheFly<B> {
    fn new(
        session: &Rc<Session>,
        gemm: Gemm,
        seed: u64,
        problem: impl Fn(Gemm, u64) -> Result<GemmProblem<B>, CaseError>,
    ) -> Result<Self, CaseError> {
        let (dense, mut padded) = (problem(gemm.unpadded(), seed)?, problem(gemm, seed)?);
        // What is padded holds other data: what a launch does not copy makes its result wrong.
        let other = problem(gemm, seed.wrapping_add(1))?;
        let [a, b, _] = gemm.matrices();
        if a.is_padded() {
            padded.a = other.a;
        }
        if b.is_padded() {
            padded.b = other.b;
        }
        let operands = operands(session, &dense)?;
        let padded = PytorchGemm::new(session, padded)?;
        let mut plan = PytorchGemmOnTheFly { dense, operands, padded };
        plan.launch_once()?;
        Ok(plan)
    }

    fn copy_in(&mut self) -> Result<(), CaseError> {
        let PytorchGemmOnTheFly { dense, operands: [of_a, of_b], padded } = self;
        let (dtype, [a, b, _]) = (dense.dtype, padded.problem.gemm.matrices());
        let GemmProblem { a: to_a, b: to_b, .. } = &mut padded.problem;
        let copies = [(a, of_a, &dense.a, to_a), (b, of_b, &dense.b, to_b)];
        for (matrix, operand, from, to) in copies {
            if matrix.is_padded() {
                let PaddedMatrix { size: [_, row_stride], data } = matrix;
                let to =
                    Target { memory: to.memory_mut(), dtype, sizes: data.to_vec(), row_stride };
                padded.session.copy((operand, from.memory()), to)?;
            }
        }
        Ok(())
    }

    fn copy_out(&mut self) -> Result<(), CaseError> {
        self.padded.result.copy_to(&self.padded.session, c_of(&mut self.dense))
    }

    fn launch_once(&mut self) -> Result<(), CaseError> {
        self.copy_in()?;
        self.padded.multiply()?;
        let [_, _, c] = self.padded.problem.gemm.matrices();
        if c.is_padded() { self.copy_out() } else { Ok(()) }
    }

    /// A launch whose result is in C, for the check.
    fn launch_into_nan(&mut self) -> Result<(), CaseError> {
        self.copy_in()?;
        self.padded.multiply_into_nan()?;
        self.copy_out()
    }
}

/// A and B as the call takes them: the weights of `linear` as they are stored, what else is stored
/// transposed as a view of it, and those of a batch with a dimension more.
pub(super) fn operands<B: Buffer>(
    session: &Session,
    problem: &GemmProblem<B>,
) -> Result<[Operand; 2], DeviceError> {
    let gemm = problem.gemm;
    let GemmShape { m, n, k } = gemm.shape;
    let [a_strides, b_strides] = gemm.strides();
    let (b_size, b_strides) = match product(&gemm) {
        Product::Linear => ([n, k], [k, 1]),
        Product::Mm | Product::Bmm => ([k, n], b_strides),
    };
    let operand = |buffer: &B, [rows, columns]: [usize; 2], [row, column]: [usize; 2]| {
        let (sizes, strides) = ([gemm.batch, rows, columns], [rows * columns, row, column]);
        let from = usize::from(gemm.batch == 1);
        session.view(buffer.memory(), problem.dtype, &sizes[from..], &strides[from..])
    };
    Ok([operand(&problem.a, [m, k], a_strides)?, operand(&problem.b, b_size, b_strides)?])
}

pub(super) fn product(gemm: &Gemm) -> Product {
    Product::of(gemm.layout, gemm.batch)
}

fn multiply<B: Buffer>(
    session: &Session,
    problem: &GemmProblem<B>,
    [a, b]: &[Operand; 2],
) -> Result<Output, DeviceError> {
    let operands = [(a, problem.a.memory()), (b, problem.b.memory())];
    session.multiply(product(&problem.gemm), operands)
}

/// Where the result is copied to.
pub(super) fn c_of<B: Buffer>(problem: &mut GemmProblem<B>) -> Target<'_> {
    let Gemm { shape: GemmShape { m, n, .. }, batch, .. } = problem.gemm;
    let sizes = if batch == 1 { vec![m, n] } else { vec![batch, m, n] };
    let dtype = problem.dtype;
    Target { memory: problem.c.memory_mut(), dtype, sizes, row_stride: n }
}

impl Plan for PytorchGemm<Vec<u16>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.multiply()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.problem.c.fill(POISON);
        self.multiply_into_nan()?;
        self.copy_to_c()?;
        verify::host::gemm(&self.problem)
    }
}

impl Plan for OnCuda<PytorchGemm<Tensor>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.multiply()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.plan.problem.c)?;
        self.plan.multiply_into_nan()?;
        self.plan.copy_to_c()?;
        verify::cuda::gemm(&self.cuda, &self.plan.problem)
    }
}

impl Plan for PytorchGemmOnTheFly<Vec<u16>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.launch_once()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.dense.c.fill(POISON);
        self.launch_into_nan()?;
        verify::host::gemm(&self.dense)
    }
}

impl Plan for OnCuda<PytorchGemmOnTheFly<Tensor>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.launch_once()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.plan.dense.c)?;
        self.plan.launch_into_nan()?;
        verify::cuda::gemm(&self.cuda, &self.plan.dense)
    }
}
