//! The GEMM by PyTorch: what `torch.matmul` and `F.linear` run.

use super::GemmProblem;
use crate::device::torch::{Operand, Output, Product, Session, Target};
use crate::device::{Cuda, Device, DeviceError, cuda::DeviceArray};
use crate::ops::pytorch::{Buffer, Kept, OnCuda};
use crate::ops::verify;
use crate::ops::{Plan, Verification};
use crate::workload::precision::{E4M3_SCALE, FP8_ALIGNMENT};
use crate::workload::{
    CaseError, Element, Gemm, GemmLayout, GemmShape, HostArray, PaddedMatrix, Precision,
};
use std::rc::Rc;

/// The plan of a GEMM over seeded data, by the call of [`Product::of`], or by `_scaled_mm` in fp8.
pub fn by_pytorch(
    session: &Rc<Session>,
    device: &Device,
    gemm: Gemm,
    dtype: Precision,
    seed: u64,
) -> Result<Box<dyn Plan>, CaseError> {
    Ok(match device {
        Device::Cpu => {
            Box::new(PytorchGemm::new(session, GemmProblem::on_host(gemm, dtype, seed), None)?)
        }
        Device::Cuda(cuda) => {
            let scale = scale(cuda, &gemm, dtype)?;
            let problem = GemmProblem::on_cuda(cuda, gemm, dtype, seed)?;
            let plan = PytorchGemm::new(session, problem, scale)?;
            Box::new(OnCuda { cuda: cuda.clone(), plan })
        }
    })
}

/// The scale of both operands, in fp8; unsupported where PyTorch's call for it is.
fn scale(cuda: &Cuda, gemm: &Gemm, dtype: Precision) -> Result<Option<DeviceArray>, CaseError> {
    if dtype != Precision::Fp8E4m3 {
        return Ok(None);
    }
    let GemmShape { n, k, .. } = gemm.shape;
    let (major, minor) = cuda.properties().compute_capability;
    let refusal = if (major, minor) < (8, 9) {
        format!("needs compute capability 8.9 or later: this GPU has {major}.{minor}")
    } else if gemm.batch > 1 {
        "takes no batch".to_owned()
    } else if gemm.layout != GemmLayout::Nt {
        format!("takes operands contiguous along K, layout nt, not {}", gemm.layout.name())
    } else if ![n, k].iter().all(|size| size.is_multiple_of(FP8_ALIGNMENT)) {
        format!("takes K and N that are multiples of {FP8_ALIGNMENT}, not K={k} N={n}")
    } else {
        return Ok(Some(cuda.upload_array(&HostArray::Single(vec![E4M3_SCALE]))?));
    };
    Err(CaseError::unsupported(format!("PyTorch's _scaled_mm {refusal}")))
}

/// The same over tensors that are kept without padding: each launch copies what is padded into
/// buffers whose padding is zero, and copies the first columns of the result where that is.
pub fn by_pytorch_on_the_fly(
    session: &Rc<Session>,
    device: &Device,
    gemm: Gemm,
    dtype: Precision,
    seed: u64,
) -> Result<Box<dyn Plan>, CaseError> {
    Ok(match device {
        Device::Cpu => {
            let problem = |gemm, seed| Ok(GemmProblem::on_host(gemm, dtype, seed));
            Box::new(PytorchGemmOnTheFly::new(session, gemm, seed, problem, None)?)
        }
        Device::Cuda(cuda) => {
            let problem = |gemm, seed| GemmProblem::on_cuda(cuda, gemm, dtype, seed);
            let scale = scale(cuda, &gemm, dtype)?;
            let plan = PytorchGemmOnTheFly::new(session, gemm, seed, problem, scale)?;
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
    /// Of both, in fp8.
    scale: Option<(Operand, B)>,
    result: Kept,
}

struct PytorchGemmOnTheFly<B> {
    dense: GemmProblem<B>,
    /// A and B as they are stored.
    operands: [Operand; 2],
    padded: PytorchGemm<B>,
}

impl<B: Buffer> PytorchGemm<B> {
    fn new(
        session: &Rc<Session>,
        problem: GemmProblem<B>,
        scale: Option<B>,
    ) -> Result<Self, CaseError> {
        let operands = operands(session, &problem)?;
        let scale = scale.map(|scale| -> Result<_, DeviceError> {
            Ok((session.view(scale.memory(), Element::Fp32, &[1], &[1])?, scale))
        });
        let (session, scale) = (session.clone(), scale.transpose()?);
        let mut plan = PytorchGemm { session, problem, operands, scale, result: Kept::default() };
        // PyTorch allocates at the first call, which a captured one must not.
        plan.multiply()?;
        Ok(plan)
    }

    fn multiply(&mut self) -> Result<(), CaseError> {
        let PytorchGemm { session, problem, operands, scale, result } = self;
        result.launch(|| multiply(session, problem, operands, scale.as_ref()))
    }

    fn multiply_into_nan(&mut self) -> Result<(), CaseError> {
        let PytorchGemm { session, problem, operands, scale, result } = self;
        result.launch_poisoned(|| multiply(session, problem, operands, scale.as_ref()))
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
        scale: Option<B>,
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
        let stored = |buffer: &B, PaddedMatrix { data, .. }: PaddedMatrix| {
            session.operand(buffer.memory(), dense.dtype.operand(), &data, data[1])
        };
        let operands = [stored(&dense.a, a)?, stored(&dense.b, b)?];
        let padded = PytorchGemm::new(session, padded, scale)?;
        let mut plan = PytorchGemmOnTheFly { dense, operands, padded };
        plan.launch_once()?;
        Ok(plan)
    }

    fn copy_in(&mut self) -> Result<(), CaseError> {
        let PytorchGemmOnTheFly { dense, operands: [of_a, of_b], padded } = self;
        let (dtype, [a, b, _]) = (dense.dtype.operand(), padded.problem.gemm.matrices());
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
        // `_scaled_mm` takes them transposed, as a view.
        Product::Linear if problem.dtype != Precision::Fp8E4m3 => ([n, k], [k, 1]),
        Product::Linear | Product::Mm | Product::Bmm => ([k, n], b_strides),
    };
    let operand = |buffer: &B, [rows, columns]: [usize; 2], [row, column]: [usize; 2]| {
        let (sizes, strides) = ([gemm.batch, rows, columns], [rows * columns, row, column]);
        let from = usize::from(gemm.batch == 1);
        session.view(buffer.memory(), problem.dtype.operand(), &sizes[from..], &strides[from..])
    };
    Ok([operand(&problem.a, [m, k], a_strides)?, operand(&problem.b, b_size, b_strides)?])
}

fn product(gemm: &Gemm) -> Product {
    Product::of(gemm.layout, gemm.batch)
}

fn multiply<B: Buffer>(
    session: &Session,
    problem: &GemmProblem<B>,
    [a, b]: &[Operand; 2],
    scale: Option<&(Operand, B)>,
) -> Result<Output, DeviceError> {
    let operands = [(a, problem.a.memory()), (b, problem.b.memory())];
    match scale {
        Some((scale, buffer)) => session.multiply_scaled(operands, (scale, buffer.memory())),
        None => session.multiply(product(&problem.gemm), operands, problem.dtype),
    }
}

/// Where the result is copied to.
pub(super) fn c_of<B: Buffer>(problem: &mut GemmProblem<B>) -> Target<'_> {
    let Gemm { shape: GemmShape { m, n, .. }, batch, .. } = problem.gemm;
    let sizes = if batch == 1 { vec![m, n] } else { vec![batch, m, n] };
    let dtype = problem.dtype.result();
    Target { memory: problem.c.memory_mut(), dtype, sizes, row_stride: n }
}

impl Plan for PytorchGemm<HostArray> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.multiply()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::host::poison(&mut self.problem.c);
        self.multiply_into_nan()?;
        self.copy_to_c()?;
        verify::host::gemm(&self.problem)
    }
}

impl Plan for OnCuda<PytorchGemm<DeviceArray>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.multiply()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison_array(&self.cuda, &mut self.plan.problem.c)?;
        self.plan.multiply_into_nan()?;
        self.plan.copy_to_c()?;
        verify::cuda::gemm(&self.cuda, &self.plan.problem)
    }
}

impl Plan for PytorchGemmOnTheFly<HostArray> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.launch_once()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::host::poison(&mut self.dense.c);
        self.launch_into_nan()?;
        verify::host::gemm(&self.dense)
    }
}

impl Plan for OnCuda<PytorchGemmOnTheFly<DeviceArray>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.launch_once()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison_array(&self.cuda, &mut self.plan.dense.c)?;
        self.plan.launch_into_nan()?;
        verify::cuda::gemm(&self.cuda, &self.plan.dense)
    }
}
