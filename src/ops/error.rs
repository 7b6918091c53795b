//! Why a case has no time.

use crate::device::{DeviceError, DeviceErrorKind};
use serde::{Deserialize, Serialize};

/// Why a case has no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CaseError {
    /// What kind of failure: run and report branch on it.
    pub kind: ErrorKind,
    /// What happened, for a person.
    pub message: String,
}

impl CaseError {
    /// The shape, type or backend cannot run on this device.
    pub fn unsupported(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// The driver or a library reported an error.
    pub fn cuda(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::Cuda, message: message.into() }
    }

    /// The result is not what it has to be.
    pub fn wrong_result(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::WrongResult, message: message.into() }
    }
}

impl From<DeviceError> for CaseError {
    fn from(DeviceError { kind, message }: DeviceError) -> Self {
        let kind = match kind {
            DeviceErrorKind::Unsupported => ErrorKind::Unsupported,
            DeviceErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
            DeviceErrorKind::Driver => ErrorKind::Cuda,
        };
        CaseError { kind, message }
    }
}

/// Kinds of [`CaseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The backend does not support the shape on this device.
    Unsupported,
    /// The device has too little memory.
    OutOfMemory,
    /// The result differs from the reference, or another backend's kernel ran.
    WrongResult,
    /// The driver or a library reported an error.
    Cuda,
    /// The run ended before this case had all its trials.
    Skipped,
}

impl ErrorKind {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::OutOfMemory => "out_of_memory",
            ErrorKind::WrongResult => "wrong_result",
            ErrorKind::Cuda => "cuda",
            ErrorKind::Skipped => "skipped",
        }
    }
}
