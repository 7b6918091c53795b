//! cuDNN's backend API: descriptors of tensors, operations and plans, behind types that keep their
//! order.
//!
//! A [`Draft`] takes attributes; [`Draft::finalize`] makes it a [`Descriptor`], which can be an
//! attribute of others. A descriptor keeps alive whatever it was made of, down to the handle: cuDNN
//! does not, and a plan needs it all.

mod attention;
mod descriptor;
mod engine;
mod graph;
mod library;

use crate::device::DeviceError;
use cudarc::driver::CudaStream;
use library::RawHandle;
use std::ptr::null_mut;
use std::sync::Arc;

pub use attention::{Bound, Compiled, CudnnAttention};
pub use cudarc::cudnn::sys::{
    cudnnBackendAttributeName_t as Attribute, cudnnBackendDescriptorType_t as Kind,
    cudnnBackendHeurMode_t as HeuristicMode, cudnnDataType_t as DataType,
    cudnnPointwiseMode_t as PointwiseMode, cudnnReduceTensorOp_t as Reduction,
};
pub use descriptor::{Descriptor, Draft, Element};
pub use library::{CudnnError, Library};

/// A cuDNN handle that enqueues on a stream.
pub struct Cudnn {
    library: &'static Library,
    raw: RawHandle,
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

    /// Enqueues `plan` on the handle's stream, with the addresses in `variant_pack`.
    ///
    /// # Safety
    /// The addresses hold tensors as large as the plan's, and the workspace, until the stream has
    /// passed the launch; those of by-value tensors are host addresses. A fault on the device shows
    /// at a later call.
    pub(super) unsafe fn execute(
        &self,
        plan: &Descriptor,
        variant_pack: &Descriptor,
    ) -> Result<(), CudnnError> {
        // SAFETY: the three are alive, the addresses as the caller promises.
        let status =
            unsafe { (self.library.backend_execute)(self.raw, plan.raw(), variant_pack.raw()) };
        self.library.check(status, || "execute".to_owned())
    }
}

impl Drop for Cudnn {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and descriptors that use it keep it alive. A failure has
        // nobody to go to.
        unsafe { (self.library.destroy)(self.raw) };
    }
}
