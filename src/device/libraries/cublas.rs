//! The functions of libcublas that are used, with statuses as the integers that they are in C.

use super::open::{Opened, static_text};
use crate::device::DeviceError;
use cudarc::cublas::sys::{
    cublasComputeType_t as ComputeType, cublasGemmAlgo_t as Algorithm, cublasHandle_t as Handle,
    cublasOperation_t as Operation, cudaDataType as DataType, cudaStream_t as Stream,
};
use std::ffi::{c_char, c_int, c_longlong, c_void};

type Status = u32;

/// The library and its functions.
pub struct Cublas {
    pub library: Opened,
    status_name: unsafe extern "C" fn(Status) -> *const c_char,
    pub create: unsafe extern "C" fn(*mut Handle) -> Status,
    pub destroy: unsafe extern "C" fn(Handle) -> Status,
    pub version: unsafe extern "C" fn(Handle, *mut c_int) -> Status,
    pub set_stream: unsafe extern "C" fn(Handle, Stream) -> Status,
    pub set_workspace: unsafe extern "C" fn(Handle, *mut c_void, usize) -> Status,
    pub gemm: Gemm,
    pub gemm_strided_batched: GemmStridedBatched,
    /// Since CUDA 12.5.
    pub gemm_grouped_batched: Option<GemmGroupedBatched>,
}

/// `handle, op(A), op(B), m, n, k, alpha, A, type, lda, B, type, ldb, beta, C, type, ldc, compute
/// type, algorithm`.
type Gemm = unsafe extern "C" fn(
    Handle,
    Operation,
    Operation,
    c_int,
    c_int,
    c_int,
    *const c_void,
    *const c_void,
    DataType,
    c_int,
    *const c_void,
    DataType,
    c_int,
    *const c_void,
    *mut c_void,
    DataType,
    c_int,
    ComputeType,
    Algorithm,
) -> Status;

/// As [`Gemm`], with a stride after each leading dimension, and the size of the batch.
type GemmStridedBatched = unsafe extern "C" fn(
    Handle,
    Operation,
    Operation,
    c_int,
    c_int,
    c_int,
    *const c_void,
    *const c_void,
    DataType,
    c_int,
    c_longlong,
    *const c_void,
    DataType,
    c_int,
    c_longlong,
    *const c_void,
    *mut c_void,
    DataType,
    c_int,
    c_longlong,
    c_int,
    ComputeType,
    Algorithm,
) -> Status;

/// As [`Gemm`], with an array for each argument but the types, and the number of groups and the
/// size of each.
type GemmGroupedBatched = unsafe extern "C" fn(
    Handle,
    *const Operation,
    *const Operation,
    *const c_int,
    *const c_int,
    *const c_int,
    *const c_void,
    *const *const c_void,
    DataType,
    *const c_int,
    *const *const c_void,
    DataType,
    *const c_int,
    *const c_void,
    *const *mut c_void,
    DataType,
    *const c_int,
    c_int,
    *const c_int,
    ComputeType,
) -> Status;

impl Cublas {
    pub(super) fn new(library: Opened) -> Result<Self, DeviceError> {
        // SAFETY: each type is that of cublas_api.h, of CUDA 12 and 13.
        unsafe {
            Ok(Cublas {
                status_name: library.function("cublasGetStatusName")?,
                create: library.function("cublasCreate_v2")?,
                destroy: library.function("cublasDestroy_v2")?,
                version: library.function("cublasGetVersion_v2")?,
                set_stream: library.function("cublasSetStream_v2")?,
                set_workspace: library.function("cublasSetWorkspace_v2")?,
                gemm: library.function("cublasGemmEx")?,
                gemm_strided_batched: library.function("cublasGemmStridedBatchedEx")?,
                gemm_grouped_batched: library.function("cublasGemmGroupedBatchedEx").ok(),
                library,
            })
        }
    }

    /// The error of a call that did not succeed.
    pub fn check(&self, status: Status) -> Result<(), DeviceError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the library answers any status with a static string, or null.
        let name = unsafe { static_text((self.status_name)(status)) };
        Err(DeviceError::of_cublas("cuBLAS", status, name))
    }
}
