//! What a device, its driver or a library refuses.

use cudarc::driver::{DriverError, sys::CUresult};
use cudarc::{cublas, cublaslt};

/// What a device, its driver or a library refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeviceError {
    /// What kind of failure: callers branch on it.
    pub kind: DeviceErrorKind,
    /// What happened, for a person.
    pub message: String,
}

/// Kinds of [`DeviceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceErrorKind {
    /// This device or this version of a library cannot do it.
    Unsupported,
    /// The device has too little memory.
    OutOfMemory,
    /// The driver or a library reported an error, or is missing.
    Driver,
}

impl DeviceError {
    /// [`DeviceErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        DeviceError { kind: DeviceErrorKind::Unsupported, message: message.into() }
    }

    /// [`DeviceErrorKind::Driver`].
    pub fn driver(message: impl Into<String>) -> Self {
        DeviceError { kind: DeviceErrorKind::Driver, message: message.into() }
    }
}

impl From<DriverError> for DeviceError {
    fn from(error: DriverError) -> Self {
        let kind = match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => DeviceErrorKind::OutOfMemory,
            _ => DeviceErrorKind::Driver,
        };
        let name = format!("{:?}", error.0);
        let message = match error.error_string() {
            Ok(text) => format!("{name}: {}", text.to_string_lossy()),
            Err(_) => name,
        };
        DeviceError { kind, message }
    }
}

impl From<cublas::result::CublasError> for DeviceError {
    fn from(error: cublas::result::CublasError) -> Self {
        of_cublas("cuBLAS", format!("{:?}", error.0))
    }
}

impl From<cublaslt::result::CublasError> for DeviceError {
    fn from(error: cublaslt::result::CublasError) -> Self {
        of_cublas("cuBLASLt", format!("{:?}", error.0))
    }
}

/// The statuses of both libraries are types of their own, with the same names.
fn of_cublas(library: &str, status: String) -> DeviceError {
    let kind = match status.as_str() {
        "CUBLAS_STATUS_ALLOC_FAILED" => DeviceErrorKind::OutOfMemory,
        "CUBLAS_STATUS_NOT_SUPPORTED" => DeviceErrorKind::Unsupported,
        _ => DeviceErrorKind::Driver,
    };
    DeviceError { kind, message: format!("{library}: {status}") }
}
