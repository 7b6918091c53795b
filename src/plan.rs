//! A plan: an operation made ready, with its algorithm chosen and its buffers bound.

use crate::record::{Algorithm, ErrorKind, Verification};

/// An operation made ready to launch.
pub trait Plan {
    /// Enqueues one launch on the device's stream. Allocates nothing and waits for nothing; on the CPU it returns
    /// when the result is there.
    ///
    /// # Errors
    /// What the driver or the library reports.
    fn launch(&mut self) -> Result<(), CaseError>;

    /// Launches once into an output filled with NaN, and compares the result with a float32 reference.
    ///
    /// # Errors
    /// [`ErrorKind::WrongResult`] if it differs by more than the tolerance of its element type, or an element
    /// was not written.
    fn verify(&mut self) -> Result<Verification, CaseError>;

    /// The algorithm that a library chose; none where there is no choice, or the library does not tell.
    fn algorithm(&self) -> Option<Algorithm> {
        None
    }
}

/// Why a case has no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CaseError {
    /// What kind of failure: the suite and the report branch on it.
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

/// One after the other, counted as one launch.
pub struct Sequence(pub Vec<Box<dyn Plan>>);

impl Plan for Sequence {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.0.iter_mut().try_for_each(|plan| plan.launch())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        worst(self.0.iter_mut().map(|plan| plan.verify()))
    }
}

/// The worst of several parts, their rows added up.
///
/// # Errors
/// The first error among them.
pub fn worst(
    parts: impl Iterator<Item = Result<Verification, CaseError>>,
) -> Result<Verification, CaseError> {
    let mut worst = Verification { max_rel_error: 0.0, tolerance: 0.0, rows: 0 };
    for part in parts {
        let part = part?;
        worst.max_rel_error = worst.max_rel_error.max(part.max_rel_error);
        worst.tolerance = part.tolerance;
        worst.rows += part.rows;
    }
    Ok(worst)
}
