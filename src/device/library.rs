//! The CUDA libraries that nothing runs without, found at run time.

use crate::device::DeviceError;
use cudarc::{cublas, cublaslt, driver, nvrtc};

type IsPresent = unsafe fn() -> bool;

/// Name, package of PyPI, and whether the dynamic linker finds it.
const LIBRARIES: [(&str, &str, IsPresent); 3] = [
    ("libnvrtc", "nvidia-cuda-nvrtc-cu12", nvrtc::sys::is_culib_present),
    ("libcublas", "nvidia-cublas-cu12", cublas::sys::is_culib_present),
    ("libcublasLt", "nvidia-cublas-cu12", cublaslt::sys::is_culib_present),
];

/// Asks for libcuda: cudarc panics on the first call into a library that is not there.
pub fn require_driver() -> Result<(), DeviceError> {
    // SAFETY: opens the library and closes it again; the initialisers are NVIDIA's.
    match unsafe { driver::sys::is_culib_present() } {
        true => Ok(()),
        false => Err(DeviceError::driver("no CUDA driver (libcuda) on this machine")),
    }
}

/// Asks for the others; the error is one line, which is missing and how to get it.
pub fn require_libraries() -> Result<(), DeviceError> {
    for (name, package, is_present) in LIBRARIES {
        // SAFETY: as above.
        if !unsafe { is_present() } {
            return Err(DeviceError::driver(format!(
                "{name} was not found: install the CUDA toolkit, or `pip install {package}`, and \
                 put the folder that holds it on LD_LIBRARY_PATH"
            )));
        }
    }
    Ok(())
}
