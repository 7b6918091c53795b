//! cuBLAS with a workspace of our own, for row-major matrices.

use super::array::{DeviceArray, Elements};
use super::kernels::{Bits, Tensor, address};
use crate::device::DeviceError;
use crate::device::libraries::{self, Cublas};
use crate::workload::{DType, Element};
use cudarc::cublas::sys;
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::sync::Arc;

/// Without a workspace of ours, cuBLAS allocates one in every captured call. NVIDIA recommends 32
/// MiB on Hopper, more than cuBLAS asks for on Ampere.
const WORKSPACE_BYTES: usize = 32 << 20;

/// The factor of what C held before.
static ZERO: f32 = 0.0;

/// A cuBLAS handle on the device's stream.
pub struct Blas {
    pub(super) library: &'static Cublas,
    pub(super) handle: sys::cublasHandle_t,
    /// cuBLAS keeps the bare stream and the bare address.
    _stream: Arc<CudaStream>,
    _workspace: CudaSlice<u8>,
}

/// An operand of a GEMM: a row-major matrix in device memory, or a batch of them.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) address: u64,
    /// Elements of the buffer.
    pub(super) len: usize,
    pub(super) kind: sys::cudaDataType,
    /// Elements from one row to the next, as stored.
    pub(super) columns: usize,
    /// Elements from one matrix to the next in a batch.
    stride: usize,
    pub(super) transposed: bool,
    buffer: PhantomData<&'a ()>,
}

/// Shape of a (batched) GEMM `C[M,N] = alpha op(A)[M,K] op(B)[K,N]`.
#[derive(Clone, Copy, Debug)]
pub struct Strided {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The dimension summed over.
    pub k: usize,
    /// GEMMs in the batch.
    pub batch: usize,
    /// Factor of the result.
    pub alpha: f32,
}

impl<'a> Matrix<'a> {
    /// A 16-bit matrix of `columns` columns, one after the other every `stride` elements.
    pub fn narrow(buffer: &'a Tensor, dtype: DType, columns: usize, stride: usize) -> Self {
        Matrix::of(buffer, kind(dtype.into()), columns, stride)
    }

    /// A matrix of an array.
    pub fn array(buffer: &'a DeviceArray, columns: usize, stride: usize) -> Self {
        let (address, len, kind) = (buffer.address(), buffer.count(), kind(buffer.element()));
        Matrix { address, len, kind, columns, stride, transposed: false, buffer: PhantomData }
    }

    /// A float32 matrix.
    pub fn wide(buffer: &'a CudaSlice<f32>, columns: usize, stride: usize) -> Self {
        Matrix::of(buffer, sys::cudaDataType::CUDA_R_32F, columns, stride)
    }

    fn of<T: Bits>(
        buffer: &'a CudaSlice<T>,
        kind: sys::cudaDataType,
        columns: usize,
        stride: usize,
    ) -> Self {
        let (address, len) = (address(buffer), buffer.len());
        Matrix { address, len, kind, columns, stride, transposed: false, buffer: PhantomData }
    }

    /// The same memory, used as its transpose.
    pub fn transposed(self) -> Self {
        Matrix { transposed: !self.transposed, ..self }
    }

    /// Asserts that `batch` matrices of this size, as used, are in the buffer.
    pub(super) fn check(&self, [rows, columns]: [usize; 2], batch: usize) {
        let [rows, columns] = if self.transposed { [columns, rows] } else { [rows, columns] };
        assert_eq!(self.columns, columns, "the matrix has the columns of the GEMM");
        let held = batch.checked_sub(1).map_or(Some(0), |others| {
            others.checked_mul(self.stride)?.checked_add(rows.checked_mul(columns)?)
        });
        assert!(held.is_some_and(|held| held <= self.len), "the buffer holds the matrices");
    }

    fn operation(&self) -> sys::cublasOperation_t {
        match self.transposed {
            false => sys::cublasOperation_t::CUBLAS_OP_N,
            true => sys::cublasOperation_t::CUBLAS_OP_T,
        }
    }
}

fn kind(element: Element) -> sys::cudaDataType {
    match element {
        Element::Fp16 => sys::cudaDataType::CUDA_R_16F,
        Element::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        Element::Fp32 => sys::cudaDataType::CUDA_R_32F,
        Element::E4m3 => sys::cudaDataType::CUDA_R_8F_E4M3,
    }
}

impl Blas {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Self, DeviceError> {
        let library = &libraries::stack()?.cublas;
        // SAFETY: never read before cuBLAS writes it.
        let workspace = unsafe { stream.alloc::<u8>(WORKSPACE_BYTES) }?;
        let at = address(&workspace) as *mut c_void;
        stream.context().bind_to_thread()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` is where the new handle goes; a context is current.
        library.check(unsafe { (library.create)(&mut handle) })?;
        let blas = Blas { library, handle, _stream: stream.clone(), _workspace: workspace };
        // SAFETY: stream and workspace live as long as the handle, in the same struct. The stream
        // comes first: setting it takes a workspace away.
        unsafe {
            library.check((library.set_stream)(handle, stream.cu_stream().cast()))?;
            library.check((library.set_workspace)(handle, at, WORKSPACE_BYTES))?;
        }
        Ok(blas)
    }

    /// The version of the library, `13.1.0`.
    pub fn version(&self) -> Option<String> {
        let mut version = 0;
        // SAFETY: writes one int.
        let status = unsafe { (self.library.version)(self.handle, &mut version) };
        let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
        self.library.check(status).ok().map(|()| format!("{major}.{minor}.{patch}"))
    }

    /// Enqueues `C = alpha op(A) op(B)` with float32 accumulation. Panics if a buffer does not hold
    /// its matrices.
    pub fn gemm(&self, shape: Strided, a: Matrix, b: Matrix, c: Matrix) -> Result<(), DeviceError> {
        shape.check([&a, &b, &c]);
        let (m, n, k, batch) = (int(shape.m)?, int(shape.n)?, int(shape.k)?, int(shape.batch)?);
        let (lda, ldb, ldc) = (int(a.columns)?, int(b.columns)?, int(c.columns)?);
        let (alpha, beta) = ((&raw const shape.alpha).cast(), (&raw const ZERO).cast());
        let Blas { library, handle, .. } = *self;
        let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let algorithm = sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT;
        let (a_at, b_at, c_at) =
            (a.address as *const c_void, b.address as *const c_void, c.address as *mut c_void);
        // cuBLAS is column-major, where our row-major C is its transpose: C^T = B^T A^T. So B comes
        // first, and what is not transposed for us is not transposed for it either. A single GEMM
        // goes through the plain call, as frameworks make it: the batched one may choose another
        // kernel. SAFETY: the buffers hold the matrices, as checked above, are borrowed until the
        // call is enqueued, and freed in stream order. Alpha and beta are host memory, read before
        // the call returns.
        let status = unsafe {
            if shape.batch == 1 {
                (library.gemm)(
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
                (library.gemm_strided_batched)(
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
        };
        library.check(status)
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once.
        unsafe { (self.library.destroy)(self.handle) };
    }
}

impl Strided {
    pub(super) fn check(&self, [a, b, c]: [&Matrix; 3]) {
        let Strided { m, n, k, batch, .. } = *self;
        a.check([m, k], batch);
        b.check([k, n], batch);
        c.check([m, n], batch);
    }
}

/// A size as cuBLAS takes it.
pub(super) fn int(size: usize) -> Result<c_int, DeviceError> {
    c_int::try_from(size)
        .map_err(|_| DeviceError::unsupported(format!("cuBLAS takes sizes below 2^31, not {size}")))
}
