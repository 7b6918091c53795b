//! The functions of libcublasLt that are used, with statuses as the integers that they are in C.

use super::open::{Opened, static_text};
use crate::device::DeviceError;
use cudarc::cublaslt::sys::{
    cublasComputeType_t as ComputeType, cublasLtHandle_t as Handle,
    cublasLtMatmulAlgo_t as Algorithm, cublasLtMatmulAlgoConfigAttributes_t as AlgorithmAttribute,
    cublasLtMatmulDesc_t as MatmulDesc, cublasLtMatmulDescAttributes_t as DescAttribute,
    cublasLtMatmulPreference_t as Preference,
    cublasLtMatmulPreferenceAttributes_t as PreferenceAttribute, cublasLtMatrixLayout_t as Layout,
    cublasLtMatrixLayoutAttribute_t as LayoutAttribute, cudaDataType as DataType,
    cudaStream_t as Stream,
};
use std::ffi::{c_char, c_int, c_void};

type Status = u32;

/// The library and its functions.
pub struct Cublaslt {
    pub library: Opened,
    status_name: unsafe extern "C" fn(Status) -> *const c_char,
    pub create: unsafe extern "C" fn(*mut Handle) -> Status,
    pub destroy: unsafe extern "C" fn(Handle) -> Status,
    pub matmul: Matmul,
    pub heuristic: Heuristic,
    /// `algorithm, attribute, where to write, bytes there, bytes written`.
    pub algorithm_config: unsafe extern "C" fn(
        *const Algorithm,
        AlgorithmAttribute,
        *mut c_void,
        usize,
        *mut usize,
    ) -> Status,
    pub desc_create: unsafe extern "C" fn(*mut MatmulDesc, ComputeType, DataType) -> Status,
    pub desc_destroy: unsafe extern "C" fn(MatmulDesc) -> Status,
    pub desc_set: unsafe extern "C" fn(MatmulDesc, DescAttribute, *const c_void, usize) -> Status,
    /// `layout, type, rows, columns, leading dimension`.
    pub layout_create: unsafe extern "C" fn(*mut Layout, DataType, u64, u64, i64) -> Status,
    pub layout_destroy: unsafe extern "C" fn(Layout) -> Status,
    pub layout_set: unsafe extern "C" fn(Layout, LayoutAttribute, *const c_void, usize) -> Status,
    pub preference_create: unsafe extern "C" fn(*mut Preference) -> Status,
    pub preference_destroy: unsafe extern "C" fn(Preference) -> Status,
    pub preference_set:
        unsafe extern "C" fn(Preference, PreferenceAttribute, *const c_void, usize) -> Status,
}

/// An algorithm that the heuristic offers: `cublasLtMatmulHeuristicResult_t`, whose status cudarc
/// declares as a Rust enum.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HeuristicResult {
    pub algorithm: Algorithm,
    pub workspace_bytes: usize,
    /// Of this result alone; 0 is success.
    pub status: Status,
    waves: f32,
    reserved: [c_int; 4],
}

/// `handle, problem, alpha, A, its layout, B, its layout, beta, C, its layout, D, its layout,
/// algorithm, workspace, its bytes, stream`.
type Matmul = unsafe extern "C" fn(
    Handle,
    MatmulDesc,
    *const c_void,
    *const c_void,
    Layout,
    *const c_void,
    Layout,
    *const c_void,
    *const c_void,
    Layout,
    *mut c_void,
    Layout,
    *const Algorithm,
    *mut c_void,
    usize,
    Stream,
) -> Status;

/// `handle, problem, layouts of A, B, C and D, preference, results asked for, results, their
/// number`.
type Heuristic = unsafe extern "C" fn(
    Handle,
    MatmulDesc,
    Layout,
    Layout,
    Layout,
    Layout,
    Preference,
    c_int,
    *mut HeuristicResult,
    *mut c_int,
) -> Status;

impl Cublaslt {
    pub(super) fn new(library: Opened) -> Result<Self, DeviceError> {
        // SAFETY: each type is that of cublasLt.h, of CUDA 12 and 13.
        unsafe {
            Ok(Cublaslt {
                status_name: library.function("cublasLtGetStatusName")?,
                create: library.function("cublasLtCreate")?,
                destroy: library.function("cublasLtDestroy")?,
                matmul: library.function("cublasLtMatmul")?,
                heuristic: library.function("cublasLtMatmulAlgoGetHeuristic")?,
                algorithm_config: library.function("cublasLtMatmulAlgoConfigGetAttribute")?,
                desc_create: library.function("cublasLtMatmulDescCreate")?,
                desc_destroy: library.function("cublasLtMatmulDescDestroy")?,
                desc_set: library.function("cublasLtMatmulDescSetAttribute")?,
                layout_create: library.function("cublasLtMatrixLayoutCreate")?,
                layout_destroy: library.function("cublasLtMatrixLayoutDestroy")?,
                layout_set: library.function("cublasLtMatrixLayoutSetAttribute")?,
                preference_create: library.function("cublasLtMatmulPreferenceCreate")?,
                preference_destroy: library.function("cublasLtMatmulPreferenceDestroy")?,
                preference_set: library.function("cublasLtMatmulPreferenceSetAttribute")?,
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
        Err(DeviceError::of_cublas("cuBLASLt", status, name))
    }
}

impl Default for HeuristicResult {
    fn default() -> Self {
        let algorithm = Algorithm { data: [0; 8] };
        HeuristicResult { algorithm, workspace_bytes: 0, status: 0, waves: 0.0, reserved: [0; 4] }
    }
}
