//! The functions of libcudnn that are used, with statuses as the integers that they are in C.

use super::{Attribute, Kind};
use crate::device::libraries::{self, Opened};
use crate::device::{DeviceError, DeviceErrorKind};
use cudarc::cudnn::sys;
use cudarc::driver::CudaStream;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};

type Status = u32;
pub(super) type RawHandle = sys::cudnnHandle_t;
pub(super) type ElementType = sys::cudnnBackendAttributeType_t;
pub(super) type RawDescriptor = sys::cudnnBackendDescriptor_t;

const OLDEST_VERSION: usize = 90_000;
/// The loaded library: its functions and its version.
pub struct Library {
    version: usize,
    create: unsafe extern "C" fn(*mut RawHandle) -> Status,
    destroy: unsafe extern "C" fn(RawHandle) -> Status,
    set_stream: unsafe extern "C" fn(RawHandle, sys::cudaStream_t) -> Status,
    status_name: unsafe extern "C" fn(Status) -> *const c_char,
    last_error: unsafe extern "C" fn(*mut c_char, usize),
    pub(super) backend_create: unsafe extern "C" fn(Kind, *mut RawDescriptor) -> Status,
    pub(super) backend_destroy: unsafe extern "C" fn(RawDescriptor) -> Status,
    pub(super) backend_set: SetAttribute,
    pub(super) backend_get: GetAttribute,
    pub(super) backend_finalize: unsafe extern "C" fn(RawDescriptor) -> Status,
    pub(super) backend_execute:
        unsafe extern "C" fn(RawHandle, RawDescriptor, RawDescriptor) -> Status,
}

type Number = unsafe extern "C" fn() -> usize;
type SetAttribute =
    unsafe extern "C" fn(RawDescriptor, Attribute, ElementType, i64, *const c_void) -> Status;
type GetAttribute = unsafe extern "C" fn(
    RawDescriptor,
    Attribute,
    ElementType,
    i64,
    *mut i64,
    *mut c_void,
) -> Status;

impl Library {
    /// The library, loaded once for the process; unsupported if cuDNN or what it depends on is
    /// missing, or it is older than 9.0.
    pub fn get() -> Result<&'static Library, DeviceError> {
        static LIBRARY: OnceLock<Result<Library, DeviceError>> = OnceLock::new();
        LIBRARY.get_or_init(Library::load).as_ref().map_err(Clone::clone)
    }

    fn load() -> Result<Library, DeviceError> {
        let stack = libraries::stack()?;
        let cudnn = stack.cudnn()?;
        // SAFETY: each signature is that of cudnn.h, with the enums that cuDNN returns as the
        // integers they are.
        unsafe {
            let version = cudnn.function::<Number>("cudnnGetVersion")?();
            if version < OLDEST_VERSION {
                return Err(DeviceError::unsupported(format!(
                    "cuDNN {} ({}) is too old: 9.0 or newer is needed",
                    version_text(version),
                    cudnn.path().display()
                )));
            }
            let cuda = cudnn.function::<Number>("cudnnGetCudartVersion")?();
            require_major(cuda / 1000, stack.cuda_major(), cudnn)?;
            Ok(Library {
                version,
                create: cudnn.function("cudnnCreate")?,
                destroy: cudnn.function("cudnnDestroy")?,
                set_stream: cudnn.function("cudnnSetStream")?,
                status_name: cudnn.function("cudnnGetErrorString")?,
                last_error: cudnn.function("cudnnGetLastErrorString")?,
                backend_create: cudnn.function("cudnnBackendCreateDescriptor")?,
                backend_destroy: cudnn.function("cudnnBackendDestroyDescriptor")?,
                backend_set: cudnn.function("cudnnBackendSetAttribute")?,
                backend_get: cudnn.function("cudnnBackendGetAttribute")?,
                backend_finalize: cudnn.function("cudnnBackendFinalize")?,
                backend_execute: cudnn.function("cudnnBackendExecute")?,
            })
        }
    }

    /// cuDNN's number for its version: 9.14.0 is 91400.
    pub fn version(&self) -> usize {
        self.version
    }

    /// The version as NVIDIA writes it: `9.14.0`.
    pub fn version_text(&self) -> String {
        version_text(self.version)
    }

    pub(super) fn check(
        &self,
        status: Status,
        call: impl FnOnce() -> String,
    ) -> Result<(), CudnnError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: cuDNN answers any code with a static string.
        let name = unsafe { CStr::from_ptr((self.status_name)(status)) }.to_string_lossy();
        let status_name = format!("{} ({status})", name.trim_start_matches("CUDNN_"));
        Err(CudnnError { status, status_name, call: call(), detail: self.take_last_error() })
    }

    /// What cuDNN noted at its last failure on this thread; asking clears it.
    pub fn take_last_error(&self) -> String {
        let mut text = [0u8; 4096];
        // SAFETY: cuDNN writes at most the length given, including the final zero.
        unsafe { (self.last_error)(text.as_mut_ptr().cast(), text.len()) };
        let text = CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy();
        readable(&text).to_owned()
    }
}

/// A cuDNN handle that enqueues on a stream.
pub struct Cudnn {
    pub(super) library: &'static Library,
    pub(super) raw: RawHandle,
    /// cuDNN keeps the bare stream: it has to outlive the handle.
    _stream: Arc<CudaStream>,
}

impl Cudnn {
    /// A handle on `stream`, whose context becomes the current one of this thread, and has to be it
    /// at each call.
    pub fn new(stream: &Arc<CudaStream>) -> Result<Self, DeviceError> {
        let library = Library::get()?;
        stream.context().bind_to_thread()?;
        let mut raw = null_mut();
        // SAFETY: `raw` is where the new handle goes; a context is current.
        library.check(unsafe { (library.create)(&mut raw) }, || "cudnnCreate".to_owned())?;
        let cudnn = Cudnn { library, raw, _stream: stream.clone() };
        // SAFETY: both are alive, and the stream stays so as long as the handle.
        let status = unsafe { (library.set_stream)(raw, stream.cu_stream().cast()) };
        library.check(status, || "cudnnSetStream".to_owned())?;
        Ok(cudnn)
    }

    /// The library that this handle is of.
    pub fn library(&self) -> &'static Library {
        self.library
    }
}

impl Drop for Cudnn {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and descriptors that use it keep it alive.
        unsafe { (self.library.destroy)(self.raw) };
    }
}

/// A cuDNN of another CUDA version would look for another cuBLASLt than the one that is open, and
/// abort the process where it finds none.
fn require_major(cudnns: usize, stacks: u32, cudnn: &Opened) -> Result<(), DeviceError> {
    if cudnns == stacks as usize {
        return Ok(());
    }
    Err(DeviceError::unsupported(format!(
        "{} is of CUDA {cudnns}, and the cuBLAS here of CUDA {stacks}; get cuDNN for CUDA {stacks} \
         (`pip install nvidia-cudnn-cu{stacks}`)",
        cudnn.path().display()
    )))
}

/// The first line for a person. Rejected engines stand there as JSON, reasons as `Warning: STATUS;
/// Reason: text`.
fn readable(text: &str) -> &str {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('{'));
    let line = line.unwrap_or_default();
    line.split_once("Reason: ").map_or(line, |(_, reason)| reason)
}

fn version_text(version: usize) -> String {
    // Before 9.0 the major number counted thousands.
    let major = if version < 90_000 { 1_000 } else { 10_000 };
    format!("{}.{}.{}", version / major, version % major / 100, version % 100)
}

/// A call that cuDNN refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cuDNN: {call}: {status_name}{}{detail}", if .detail.is_empty() { "" } else { ": " })]
pub struct CudnnError {
    status: Status,
    status_name: String,
    call: String,
    detail: String,
}

impl CudnnError {
    /// The same error, said to have happened at `place`.
    pub fn at(self, place: &str) -> Self {
        CudnnError { call: format!("{place}: {}", self.call), ..self }
    }
}

impl From<CudnnError> for DeviceError {
    fn from(error: CudnnError) -> Self {
        let kind = match error.status {
            3000..4000 => DeviceErrorKind::Unsupported,
            4003 | 4004 => DeviceErrorKind::OutOfMemory,
            _ => DeviceErrorKind::Driver,
        };
        DeviceError { kind, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_and_after_the_change_of_scheme() {
        assert_eq!(version_text(91_400), "9.14.0");
        assert_eq!(version_text(91_002), "9.10.2");
        assert_eq!(version_text(8_907), "8.9.7");
    }

    #[test]
    fn a_reason_is_found_among_rejected_engines() {
        let text = "\n{\"engineId\":2}\n\nWarning: CUDNN_STATUS_NOT_SUPPORTED_SHAPE; Reason: too \
            wide: d > 256\nmore";
        assert_eq!(readable(text), "too wide: d > 256");
        assert_eq!(
            readable("cudaGetDeviceCount(&count) != cudaSuccess"),
            "cudaGetDeviceCount(&count) != cudaSuccess"
        );
        assert_eq!(readable("{\"engineId\":2}\n"), "");
    }

    #[test]
    fn the_status_decides_the_kind_of_error() {
        let kind = |status| {
            let [status_name, call, detail] = [const { String::new() }; 3];
            DeviceError::from(CudnnError { status, status_name, call, detail }).kind
        };
        assert_eq!(kind(3002), DeviceErrorKind::Unsupported);
        assert_eq!(kind(4004), DeviceErrorKind::OutOfMemory);
        assert_eq!(kind(5001), DeviceErrorKind::Driver);
        assert_eq!(kind(9999), DeviceErrorKind::Driver);
    }
}
