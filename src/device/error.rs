//! What a device, its driver or a library refuses.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

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
    /// This device or this version of a library cannot do it.
    pub fn unsupported(message: impl Into<String>) -> Self {
        DeviceError { kind: DeviceErrorKind::Unsupported, message: message.into() }
    }

    /// The driver or a library reported an error, or is missing.
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
