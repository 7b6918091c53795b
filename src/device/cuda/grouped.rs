//! Several products of different shapes in one call of cuBLAS.

use super::blas::{Blas, Matrix, Strided, error, int};
use super::kernels::address;
use crate::device::error::CaseError;
use cudarc::cublas::sys;
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Products for one call of cuBLAS, a group of one each: their shapes on the host, their addresses on the device. As in
/// [`Blas::product`] each is asked for as its transpose, so that B comes first.
pub struct Grouped {
    kind: sys::cudaDataType,
    operations: Vec<sys::cublasOperation_t>,
    /// cuBLAS's m, n and k of each.
    sizes: [Vec<c_int>; 3],
    /// Of B, A and C.
    strides: [Vec<c_int>; 3],
    alphas: Vec<f32>,
    betas: Vec<f32>,
    products_each: Vec<c_int>,
    /// Of B, A and C.
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
            let message = "this cuBLAS has no grouped products: they came with 12.5";
            return Err(CaseError::unsupported(message));
        }
        let (mut sizes, mut strides) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
        let mut addresses = [const { Vec::new() }; 3];
        for (Strided { m, n, k, .. }, [a, b, c]) in products {
            for (sizes, size) in sizes.iter_mut().zip([n, m, k]) {
                sizes.push(int(*size)?);
            }
            for (at, matrix) in [b, a, c].into_iter().enumerate() {
                strides[at].push(int(matrix.columns)?);
                addresses[at].push(matrix.address);
            }
        }
        let on_device = |addresses: &Vec<u64>| stream.clone_htod(addresses).map_err(super::error);
        let [b, a, c] = &addresses;
        Ok(Grouped {
            kind: products.first().map_or(sys::cudaDataType::CUDA_R_16F, |(_, [a, ..])| a.kind),
            operations: vec![sys::cublasOperation_t::CUBLAS_OP_N; products.len()],
            sizes,
            strides,
            alphas: products.iter().map(|(shape, _)| shape.alpha).collect(),
            betas: vec![0.0; products.len()],
            products_each: vec![1; products.len()],
            addresses: [on_device(b)?, on_device(a)?, on_device(c)?],
        })
    }
}

impl Blas {
    /// Enqueues all products of `grouped` in one call, with float32 accumulation.
    ///
    /// # Safety
    /// The matrices that `grouped` was made of must lie in living device buffers, with the sizes of their shapes.
    ///
    /// # Errors
    /// What cuBLAS reports.
    pub unsafe fn grouped(&self, grouped: &Grouped) -> Result<(), CaseError> {
        let Grouped { operations, sizes: [m, n, k], strides: [ldb, lda, ldc], .. } = grouped;
        let [b, a, c] = grouped.addresses.each_ref().map(|at| address(at, at.stream()));
        let groups = int(m.len())?;
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
                b as *const *const c_void,
                grouped.kind,
                ldb.as_ptr(),
                a as *const *const c_void,
                grouped.kind,
                lda.as_ptr(),
                grouped.betas.as_ptr().cast(),
                c as *const *mut c_void,
                grouped.kind,
                ldc.as_ptr(),
                groups,
                grouped.products_each.as_ptr(),
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            )
        }
        .result()
        .map_err(error)
    }
}
