//! Several GEMMs of different shapes in one call of cuBLAS.

use super::array::{DeviceArray, Elements};
use super::blas::{Blas, Matrix, Strided, int};
use super::kernels::address;
use crate::device::{DeviceError, libraries};
use crate::workload::Precision;
use cudarc::cublas::sys;
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

const TOO_OLD: &str = "this cuBLAS has no grouped GEMMs: they came with 12.5";

/// GEMMs for one call of cuBLAS, a group of one each. As in [`Blas::gemm`] each is asked for as its
/// transpose, so that B comes first.
pub struct Grouped {
    kind: sys::cudaDataType,
    compute: sys::cublasComputeType_t,
    operations: Vec<sys::cublasOperation_t>,
    /// cuBLAS's m, n and k of each.
    sizes: [Vec<c_int>; 3],
    /// Of B, A and C.
    strides: [Vec<c_int>; 3],
    alphas: Vec<f32>,
    betas: Vec<f32>,
    gemms_each: Vec<c_int>,
    /// Of B, A and C, in device memory.
    addresses: [CudaSlice<u64>; 3],
    /// Address and length of A, B and C of each, for a launch to check.
    bound: Vec<[(u64, usize); 3]>,
}

impl Grouped {
    /// Binds GEMMs of matrices A, B and C of one element type, none of them transposed.
    /// Unsupported before cuBLAS 12.5; panics if a matrix has another size or type.
    pub fn new(
        stream: &Arc<CudaStream>,
        gemms: &[(Strided, [Matrix; 3])],
        precision: Precision,
    ) -> Result<Self, DeviceError> {
        if libraries::stack()?.cublas.gemm_grouped_batched.is_none() {
            return Err(DeviceError::unsupported(TOO_OLD));
        }
        let (mut sizes, mut strides) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
        let mut addresses = [const { Vec::new() }; 3];
        let mut bound = Vec::new();
        let kind = gemms.first().map_or(sys::cudaDataType::CUDA_R_16F, |(_, [a, ..])| a.kind);
        for (shape, matrices) in gemms {
            let (Strided { m, n, k, .. }, [a, b, c]) = (shape, matrices);
            shape.check([a, b, c]);
            let is_plain = |matrix: &Matrix| matrix.kind == kind && !matrix.transposed;
            assert!(matrices.iter().all(is_plain), "one element type, and no transpose");
            bound.push(matrices.map(|matrix| (matrix.address, matrix.len)));
            for (sizes, size) in sizes.iter_mut().zip([n, m, k]) {
                sizes.push(int(*size)?);
            }
            for (at, matrix) in [b, a, c].into_iter().enumerate() {
                strides[at].push(int(matrix.columns)?);
                addresses[at].push(matrix.address);
            }
        }
        let on_device = |addresses: &Vec<u64>| stream.clone_htod(addresses);
        let [b, a, c] = &addresses;
        Ok(Grouped {
            kind,
            compute: match precision {
                Precision::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
                _ => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            },
            operations: vec![sys::cublasOperation_t::CUBLAS_OP_N; gemms.len()],
            sizes,
            strides,
            alphas: gemms.iter().map(|(shape, _)| shape.alpha).collect(),
            betas: vec![0.0; gemms.len()],
            gemms_each: vec![1; gemms.len()],
            addresses: [on_device(b)?, on_device(a)?, on_device(c)?],
            bound,
        })
    }
}

impl Blas {
    /// Enqueues all GEMMs of `grouped` in one call, with float32 accumulation. `tensors` are A, B
    /// and C of each, again: it panics if they are others.
    pub fn grouped<'a>(
        &self,
        grouped: &Grouped,
        tensors: impl ExactSizeIterator<Item = [&'a DeviceArray; 3]>,
    ) -> Result<(), DeviceError> {
        assert_eq!(tensors.len(), grouped.bound.len(), "the tensors are those that were bound");
        for (tensors, bound) in tensors.zip(&grouped.bound) {
            let are = tensors.map(|tensor| (tensor.address(), tensor.count()));
            assert_eq!(are, *bound, "the tensors are those that were bound");
        }
        let Grouped { operations, sizes: [m, n, k], strides: [ldb, lda, ldc], .. } = grouped;
        let [b, a, c] = grouped.addresses.each_ref().map(address);
        let groups = int(m.len())?;
        let call = self.library.gemm_grouped_batched;
        let call = call.ok_or_else(|| DeviceError::unsupported(TOO_OLD))?;
        // SAFETY: the arrays have an entry for each group; those of addresses are in device memory,
        // and live as long as `grouped`. The tensors are borrowed, as large as `Grouped::new` found
        // them, and freed in stream order.
        let status = unsafe {
            call(
                self.handle,
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
                grouped.gemms_each.as_ptr(),
                grouped.compute,
            )
        };
        self.library.check(status)
    }
}
