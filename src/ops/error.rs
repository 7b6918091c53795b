//! What a device refuses, as the error of a case.

use crate::device::{DeviceError, DeviceErrorKind};
use crate::workload::{CaseError, ErrorKind};

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
