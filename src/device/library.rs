//! The CUDA libraries that nothing runs without, found at run time: which is missing, and where it
//! comes from.

use crate::device::DeviceError;

/// A library that is opened at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// libcuda, of the driver.
    Driver,
    /// libnvrtc: compiles the kernels.
    Nvrtc,
    /// libcublas: batched GEMMs.
    Cublas,
    /// libcublasLt: GEMMs.
    CublasLt,
}

impl Library {
    /// Whether the dynamic linker finds it. cudarc panics on the first call into a library that is
    /// not there.
    pub fn is_present(self) -> bool {
        // SAFETY: each only opens the library and closes it again; their initialisers are NVIDIA's
        // own.
        unsafe {
            match self {
                Library::Driver => cudarc::driver::sys::is_culib_present(),
                Library::Nvrtc => cudarc::nvrtc::sys::is_culib_present(),
                Library::Cublas => cudarc::cublas::sys::is_culib_present(),
                Library::CublasLt => cudarc::cublaslt::sys::is_culib_present(),
            }
        }
    }

    /// An error of one line if it is not there: its name, and how to get it.
    pub fn require(self) -> Result<(), DeviceError> {
        if self.is_present() {
            return Ok(());
        }
        let (name, package) = match self {
            Library::Driver => {
                return Err(DeviceError::driver("no CUDA driver (libcuda) on this machine"));
            }
            Library::Nvrtc => ("libnvrtc", "nvidia-cuda-nvrtc-cu12"),
            Library::Cublas => ("libcublas", "nvidia-cublas-cu12"),
            Library::CublasLt => ("libcublasLt", "nvidia-cublas-cu12"),
        };
        Err(DeviceError::driver(format!(
            "{name} was not found: install the CUDA toolkit, or `pip install {package}`, and put \
             the folder that holds it on LD_LIBRARY_PATH"
        )))
    }
}
