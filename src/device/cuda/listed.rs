//! The GPUs there are, without opening one.

use super::{present, uuid_text};
use crate::device::DeviceError;
use cudarc::driver::{CudaContext, result};

/// A GPU that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Marketing name.
    pub name: String,
    /// `GPU-xxxxxxxx-...`, as NVML and nvidia-smi write it.
    pub uuid: String,
}

/// The GPUs that this process may use, in the order of `cuda:N`. The driver is asked, not NVML, for
/// it alone knows what CUDA_VISIBLE_DEVICES leaves and how that is counted.
///
/// # Errors
/// One line: no driver, or no GPU that it can use.
pub fn list() -> Result<Vec<Listed>, DeviceError> {
    present()?;
    let count = CudaContext::device_count()?;
    let listed = (0..count).map(|index| {
        let device = result::device::get(index)?;
        let uuid = uuid_text(result::device::get_uuid(device)?);
        Ok(Listed { name: result::device::get_name(device)?, uuid })
    });
    listed.collect()
}
