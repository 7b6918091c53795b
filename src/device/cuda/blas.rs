//! cuBLAS with a workspace of our own, for row-major matrices.

use super::kernels::address;
use crate::device::error::CaseError;
use crate::device::error::ErrorKind;
use crate::workload::shape::DType;
use cudarc::cublas::{CudaBlas, result, sys};
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Without a workspace of the caller's, cuBLAS allocates and frees one in every captured call. 32 MiB is what NVIDIA
/// recommends on Hopper, and more than cuBLAS asks for on Ampere.
const WORKSPACE_BYTES: usize = 32 << 20;

/// The factor of what C held before.
static ZERO: f32 = 0.0;

/// A cuBLAS handle on the device's stream.
pub struct Blas {
    pub(super) handle: CudaBlas,
    _workspace: CudaSlice<u8>,
}

/// An operand of a product: its element type and, in memory, a row-major matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    pub(super) address: u64,
    pub(super) kind: sys::cudaDataType,
    /// Elements from one row to the next: the number of columns, as stored.
    pub(super) columns: usize,
    /// Elements from one matrix to the next in a batch.
    stride: usize,
    transposed: bool,
}

/// Shape of a (batched) product `C[M,N] = alpha op(A)[M,K] op(B)[K,N]`.
#[derive(Clone, Copy, Debug)]
pub struct Strided {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The dimension summed over.
    pub k: usize,
    /// Products in the batch.
    pub batch: usize,
    /// Factor of the result.
    pub alpha: f32,
}

impl Matrix {
    /// A 16-bit matrix of `columns` columns, one after the other every `stride` elements.
    pub fn narrow(buffer: &CudaSlice<u16>, dtype: DType, columns: usize, stride: usize) -> Self {
        let kind = match dtype {
            DType::Fp16 => sys::cudaDataType::CUDA_R_16F,
            DType::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        };
        let address = address(buffer, buffer.stream());
        Matrix { address, kind, columns, stride, transposed: false }
    }

    /// A float32 matrix.
    pub fn wide(buffer: &CudaSlice<f32>, columns: usize, stride: usize) -> Self {
        let address = address(buffer, buffer.stream());
        Matrix { address, kind: sys::cudaDataType::CUDA_R_32F, columns, stride, transposed: false }
    }

    /// The same memory, used as its transpose.
    pub fn transposed(self) -> Self {
        Matrix { transposed: !self.transposed, ..self }
    }

    fn operation(&self) -> sys::cublasOperation_t {
        match self.transposed {
            false => sys::cublasOperation_t::CUBLAS_OP_N,
            true => sys::cublasOperation_t::CUBLAS_OP_T,
        }
    }
}

impl Blas {
    /// Creates the handle and its workspace.
    ///
    /// # Errors
    /// What cuBLAS or the driver reports.
    pub fn new(stream: &Arc<CudaStream>) -> Result<Self, CaseError> {
        let handle = CudaBlas::new(stream.clone()).map_err(error)?;
        // SAFETY: never read before cuBLAS writes it.
        let workspace = unsafe { stream.alloc::<u8>(WORKSPACE_BYTES) }.map_err(super::error)?;
        // SAFETY: the workspace lives as long as the handle, in the same struct.
        unsafe {
            let address = address(&workspace, stream) as *mut c_void;
            sys::cublasSetWorkspace_v2(*handle.handle(), address, WORKSPACE_BYTES)
        }
        .result()
        .map_err(error)?;
        Ok(Blas { handle, _workspace: workspace })
    }

    /// The version of the library, `13.1.0`.
    pub fn version(&self) -> Option<String> {
        let mut version = 0;
        // SAFETY: writes one int.
        let status = unsafe { sys::cublasGetVersion_v2(*self.handle.handle(), &mut version) };
        let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
        status.result().ok().map(|()| format!("{major}.{minor}.{patch}"))
    }

    /// Enqueues `C = alpha op(A) op(B)` with float32 accumulation.
    ///
    /// # Safety
    /// The three matrices must lie in living device buffers with room for `batch` matrices of the shape.
    ///
    /// # Errors
    /// What cuBLAS reports.
    pub unsafe fn product(
        &self,
        shape: Strided,
        a: Matrix,
        b: Matrix,
        c: Matrix,
    ) -> Result<(), CaseError> {
        let (m, n, k, batch) = (int(shape.m)?, int(shape.n)?, int(shape.k)?, int(shape.batch)?);
        let (lda, ldb, ldc) = (int(a.columns)?, int(b.columns)?, int(c.columns)?);
        let (alpha, beta) = ((&raw const shape.alpha).cast(), (&raw const ZERO).cast());
        let (handle, compute, algorithm) = (
            *self.handle.handle(),
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        );
        let (a_at, b_at, c_at) =
            (a.address as *const c_void, b.address as *const c_void, c.address as *mut c_void);
        // cuBLAS is column-major, where our row-major C is its transpose: C^T = B^T A^T. So B comes first, and what
        // is not transposed for us is not transposed for it either. A single product goes through the plain call,
        // as frameworks make it: the batched one may choose another kernel.
        // SAFETY: the caller's promise; alpha and beta are on the host, and read before the call returns.
        unsafe {
            if shape.batch == 1 {
                result::gemm_ex(
                    handle,
                    b.operation(),
                    a.operation(),
                    n,
                    m,
                    k,
                    alpha,
                    b_at,
                    b.kind,
                    ldb,
                    a_at,
                    a.kind,
                    lda,
                    beta,
                    c_at,
                    c.kind,
                    ldc,
                    compute,
                    algorithm,
                )
            } else {
                result::gemm_strided_batched_ex(
                    handle,
                    b.operation(),
                    a.operation(),
                    n,
                    m,
                    k,
                    alpha,
                    b_at,
                    b.kind,
                    ldb,
                    b.stride as i64,
                    a_at,
                    a.kind,
                    lda,
                    a.stride as i64,
                    beta,
                    c_at,
                    c.kind,
                    ldc,
                    c.stride as i64,
                    batch,
                    compute,
                    algorithm,
                )
            }
        }
        .map_err(error)
    }
}

/// A size as cuBLAS takes it.
pub(super) fn int(size: usize) -> Result<c_int, CaseError> {
    c_int::try_from(size)
        .map_err(|_| CaseError::unsupported(format!("cuBLAS takes sizes below 2^31, not {size}")))
}

pub(super) fn error(error: result::CublasError) -> CaseError {
    let kind = match error.0 {
        sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED => ErrorKind::OutOfMemory,
        sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED => ErrorKind::Unsupported,
        _ => ErrorKind::Cuda,
    };
    CaseError { kind, message: format!("cuBLAS: {:?}", error.0) }
}
