//! A handle of cuDNN.

use super::library::{Library, RawHandle};
use crate::device::DeviceError;
use cudarc::driver::CudaStream;
use std::ptr::null_mut;
use std::sync::Arc;

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
    ///
    /// # Errors
    /// Unsupported as of [`Library::get`].
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
        // SAFETY: the handle is ours, and descriptors that use it keep it alive. A failure has
        // nobody to go to.
        unsafe { (self.library.destroy)(self.raw) };
    }
}
