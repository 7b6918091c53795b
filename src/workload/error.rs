//! Why a case has no time.

use serde::{Deserialize, Serialize};

/// Why a case has no time: what a device or a library refuses, or a wrong result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CaseError {
    /// What kind of failure: callers branch on it.
    pub kind: ErrorKind,
    /// What happened, for a person.
    pub message: String,
}

/// Kinds of [`CaseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// This device or this version of a library cannot do it.
    Unsupported,
    /// The device has too little memory.
    OutOfMemory,
    /// The result differs from the reference, or another backend's kernel ran.
    WrongResult,
    /// The driver or a library reported an error, or is missing.
    Cuda,
    /// The run ended before this case had all its trials.
    Skipped,
}

impl CaseError {
    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// [`ErrorKind::Cuda`].
    pub fn cuda(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::Cuda, message: message.into() }
    }

    /// [`ErrorKind::WrongResult`].
    pub fn wrong_result(message: impl Into<String>) -> Self {
        CaseError { kind: ErrorKind::WrongResult, message: message.into() }
    }
}

impl ErrorKind {
    /// The name, in words.
    pub(crate) fn words(self) -> String {
        self.name().replace('_', " ")
    }

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
