//! What the driver and the libraries refuse, as errors of a case.

use crate::workload::{CaseError, ErrorKind};
use cudarc::driver::{DriverError, sys::CUresult};
use cudarc::{cublas, cublaslt};

impl From<DriverError> for CaseError {
    fn from(error: DriverError) -> Self {
        let kind = match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => ErrorKind::OutOfMemory,
            _ => ErrorKind::Cuda,
        };
        let name = format!("{:?}", error.0);
        let message = match error.error_string() {
            Ok(text) => format!("{name}: {}", text.to_string_lossy()),
            Err(_) => name,
        };
        CaseError { kind, message }
    }
}

impl From<cublas::result::CublasError> for CaseError {
    fn from(error: cublas::result::CublasError) -> Self {
        of_cublas("cuBLAS", format!("{:?}", error.0))
    }
}

impl From<cublaslt::result::CublasError> for CaseError {
    fn from(error: cublaslt::result::CublasError) -> Self {
        of_cublas("cuBLASLt", format!("{:?}", error.0))
    }
}

/// The statuses of both libraries are types of their own, with the same names.
fn of_cublas(library: &str, status: String) -> CaseError {
    let kind = match status.as_str() {
        "CUBLAS_STATUS_ALLOC_FAILED" => ErrorKind::OutOfMemory,
        "CUBLAS_STATUS_NOT_SUPPORTED" => ErrorKind::Unsupported,
        _ => ErrorKind::Cuda,
    };
    CaseError { kind, message: format!("{library}: {status}") }
}
