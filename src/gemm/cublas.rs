//! The product by cuBLAS: the algorithm is the library's own choice, the workspace ours.

use super::GemmProblem;
use crate::case::Gemm;
use crate::device::Cuda;
use crate::device::cuda::{Blas, Matrix, Strided, Tensor};
use crate::plan::{CaseError, Plan};
use crate::record::Verification;
use crate::shape::DType;
use crate::verify;
use std::rc::Rc;

/// A product bound to its buffers.
pub struct CublasGemm {
    cuda: Rc<Cuda>,
    problem: GemmProblem<Tensor>,
}

impl GemmProblem<Tensor> {
    /// Operands in device memory: A and B seeded normal numbers, C not initialised.
    ///
    /// # Errors
    /// Out of memory, or what the driver reports.
    pub fn on_cuda(cuda: &Cuda, gemm: Gemm, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let (shape, data) = (gemm.shape, gemm.data);
        let matrix = |number, (rows, columns), data| {
            let mut tensor = cuda.alloc(rows * columns)?;
            let (kernels, stream) = (cuda.kernels(), cuda.stream());
            kernels.fill_normal(
                stream,
                &mut tensor,
                dtype,
                (seed, number),
                (rows, columns),
                data,
            )?;
            Ok::<_, CaseError>(tensor)
        };
        let a = matrix(0, (shape.m, shape.k), (data.m, data.k))?;
        let b = matrix(1, (shape.k, shape.n), (data.k, data.n))?;
        let c = cuda.alloc(shape.m * shape.n)?;
        Ok(GemmProblem { gemm, dtype, a, b, c })
    }
}

impl CublasGemm {
    /// Allocates and fills the operands.
    ///
    /// # Errors
    /// Out of memory, or what the driver reports.
    pub fn new(cuda: &Rc<Cuda>, gemm: Gemm, dtype: DType, seed: u64) -> Result<Self, CaseError> {
        let problem = GemmProblem::on_cuda(cuda, gemm, dtype, seed)?;
        Ok(CublasGemm { cuda: cuda.clone(), problem })
    }

    /// The operands, and the result of the last launch.
    pub(super) fn problem(&self) -> &GemmProblem<Tensor> {
        &self.problem
    }

    /// The same, to write to.
    pub(super) fn problem_mut(&mut self) -> &mut GemmProblem<Tensor> {
        &mut self.problem
    }

    /// Enqueues one launch on the stream of `blas`.
    ///
    /// # Errors
    /// What cuBLAS reports.
    pub(super) fn launch_with(&self, blas: &Blas) -> Result<(), CaseError> {
        let GemmProblem { gemm, dtype, a, b, c } = &self.problem;
        let shape = gemm.shape;
        let matrix = |tensor, columns| Matrix::narrow(tensor, *dtype, columns, 0);
        let strided = Strided { m: shape.m, n: shape.n, k: shape.k, batch: 1, alpha: 1.0 };
        // SAFETY: the three tensors were allocated with the sizes of the shape, and live in `self`.
        unsafe { blas.product(strided, matrix(a, shape.k), matrix(b, shape.n), matrix(c, shape.n)) }
    }
}

impl Plan for CublasGemm {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.launch_with(self.cuda.blas())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.c)?;
        self.launch()?;
        verify::cuda::gemm(&self.cuda, &self.problem)
    }
}
