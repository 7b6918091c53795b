//! cuBLAS with a workspace of our own, for row-major matrices.

use super::kernels::address;
use crate::plan::CaseError;
use crate::record::ErrorKind;
use crate::shape::DType;
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
    handle: CudaBlas,
    _workspace: CudaSlice<u8>,
}

/// An operand of a product: its element type and, in memory, a row-major matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    address: u64,
    kind: sys::cudaDataType,
    /// Elements from one row to the next: the number of columns, as stored.
    columns: usize,
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

    /// Enqueues all products of `grouped` in one call.
    ///
    /// # Safety
    /// The matrices that `grouped` was made of must lie in living device buffers, with the sizes of their shapes.
    ///
    /// # Errors
    /// What cuBLAS reports.
    pub unsafe fn grouped(&self, grouped: &Grouped) -> Result<(), CaseError> {
        let Grouped { operations, sizes: [m, n, k], strides: [lda, ldb, ldc], .. } = grouped;
        let [a, b, c] = grouped.addresses.each_ref().map(|at| address(at, at.stream()));
        // SAFETY: the arrays have an entry for each group; those of addresses are in device memory, and live as long
        // as `grouped`. The library has the function: `Grouped::new` made sure.
        unsafe {
            sys::cublasGemmGroupedBatchedEx(
                *self.handle.handle(),
                operations.as_ptr(),
                operations.as_ptr(),
                m.as_ptr(),
                n.as_ptr(),
                k.as_ptr(),
                grouped.alphas.as_ptr().cast(),
                a as *const *const c_void,
                grouped.kind,
                lda.as_ptr(),
                b as *const *const c_void,
                grouped.kind,
                ldb.as_ptr(),
                grouped.betas.as_ptr().cast(),
                c as *const *mut c_void,
                grouped.kind,
                ldc.as_ptr(),
                int(m.len())?,
                grouped.products_each.as_ptr(),
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            )
        }
        .result()
        .map_err(error)
    }
}

/// Products for one call of cuBLAS, a group of one each: their shapes on the host, their addresses on the device. As in
/// [`Blas::product`] each is asked for as its transpose.
pub struct Grouped {
    kind: sys::cudaDataType,
    operations: Vec<sys::cublasOperation_t>,
    /// cuBLAS's m, n and k.
    sizes: [Vec<c_int>; 3],
    strides: [Vec<c_int>; 3],
    alphas: Vec<f32>,
    betas: Vec<f32>,
    products_each: Vec<c_int>,
    addresses: [CudaSlice<u64>; 3],
}

impl Grouped {
    /// Binds products of matrices A, B and C of one element type, none of them transposed.
    ///
    /// # Errors
    /// Unsupported if the library has no grouped call, which came with cuBLAS 12.5; what the driver reports.
    pub fn new(
        stream: &Arc<CudaStream>,
        products: &[(Strided, [Matrix; 3])],
    ) -> Result<Self, CaseError> {
        const NAME: &[u8] = b"cublasGemmGroupedBatchedEx";
        // SAFETY: the symbol is only looked for: cudarc would panic at the first call of one that is not there.
        let is_there = unsafe { sys::culib().get::<*const c_void>(NAME) }.is_ok();
        if !is_there {
            return Err(CaseError::unsupported(
                "this cuBLAS has no grouped products: it takes 12.5 or later",
            ));
        }
        let ints = |size: &dyn Fn(&(Strided, [Matrix; 3])) -> usize| {
            products.iter().map(|product| int(size(product))).collect::<Result<Vec<_>, _>>()
        };
        let kind = products.first().map_or(sys::cudaDataType::CUDA_R_16F, |(_, [a, ..])| a.kind);
        let addresses = |matrix: usize| {
            let addresses: Vec<u64> = products.iter().map(|(_, abc)| abc[matrix].address).collect();
            stream.clone_htod(&addresses).map_err(super::error)
        };
        Ok(Grouped {
            kind,
            operations: vec![sys::cublasOperation_t::CUBLAS_OP_N; products.len()],
            sizes: [
                ints(&|(shape, _)| shape.n)?,
                ints(&|(shape, _)| shape.m)?,
                ints(&|(shape, _)| shape.k)?,
            ],
            strides: [
                ints(&|(_, [_, b, _])| b.columns)?,
                ints(&|(_, [a, ..])| a.columns)?,
                ints(&|(_, [.., c])| c.columns)?,
            ],
            alphas: products.iter().map(|(shape, _)| shape.alpha).collect(),
            betas: vec![0.0; products.len()],
            products_each: vec![1; products.len()],
            addresses: [addresses(1)?, addresses(0)?, addresses(2)?],
        })
    }
}

/// A size as cuBLAS takes it.
fn int(size: usize) -> Result<c_int, CaseError> {
    c_int::try_from(size)
        .map_err(|_| CaseError::unsupported(format!("cuBLAS takes sizes below 2^31, not {size}")))
}

fn error(error: result::CublasError) -> CaseError {
    let kind = match error.0 {
        sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED => ErrorKind::OutOfMemory,
        sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED => ErrorKind::Unsupported,
        _ => ErrorKind::Cuda,
    };
    CaseError { kind, message: format!("cuBLAS: {:?}", error.0) }
}
