//! What a device, its driver or a library refuses.

use cudarc::driver::{DriverError, sys::CUresult};

/// Statuses that cuBLAS and cuBLASLt share.
const CUBLAS_ALLOC_FAILED: u32 = 3;
const CUBLAS_NOT_SUPPORTED: u32 = 15;

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

    /// Of a status of cuBLAS or cuBLASLt, whose name may be unknown.
    pub(super) fn of_cublas(library: &str, status: u32, name: Option<String>) -> Self {
        let kind = match status {
            CUBLAS_ALLOC_FAILED => DeviceErrorKind::OutOfMemory,
            CUBLAS_NOT_SUPPORTED => DeviceErrorKind::Unsupported,
            _ => DeviceErrorKind::Driver,
        };
        let status = name.unwrap_or_else(|| format!("status {status}"));
        DeviceError { kind, message: format!("{library}: {status}") }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_cublas_decides_the_kind_of_error() {
        let error = |status, name: Option<&str>| {
            DeviceError::of_cublas("cuBLAS", status, name.map(str::to_owned))
        };
        assert_eq!(error(3, None).kind, DeviceErrorKind::OutOfMemory);
        assert_eq!(error(15, None).kind, DeviceErrorKind::Unsupported);
        let named = error(13, Some("CUBLAS_STATUS_EXECUTION_FAILED"));
        assert_eq!(named, DeviceError::driver("cuBLAS: CUBLAS_STATUS_EXECUTION_FAILED"));
        assert_eq!(error(77, None), DeviceError::driver("cuBLAS: status 77"));
    }
}
