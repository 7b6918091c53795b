//! libcuda, which comes with NVIDIA's driver and is where the dynamic linker looks.

use crate::device::DeviceError;
use cudarc::driver::sys;

/// Asks for libcuda: cudarc panics on the first call into a library that is not there.
pub fn require_driver() -> Result<(), DeviceError> {
    // SAFETY: opens the library and closes it again; the initialisers are NVIDIA's.
    match unsafe { sys::is_culib_present() } {
        true => Ok(()),
        false => Err(DeviceError::driver("no CUDA driver (libcuda) on this machine")),
    }
}

/// The newest CUDA version that the driver supports, major and minor; none without a driver.
pub fn cuda_version() -> Option<(u32, u32)> {
    require_driver().ok()?;
    let mut version = 0;
    // SAFETY: writes one int, and needs no initialisation of the driver.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    let version = u32::try_from(version).ok().filter(|version| *version > 0)?;
    status.result().ok().map(|()| (version / 1000, version % 1000 / 10))
}
