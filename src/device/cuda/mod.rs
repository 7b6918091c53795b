//! One CUDA GPU: its context, the one stream everything is enqueued on, its kernels and libraries.

mod attention;
mod blas;
mod branches;
mod compile;
mod graph;
mod grouped;
mod kernels;
mod listed;
mod lt;
mod mapped;
mod timing;

pub use attention::{
    AttentionKernel, AttentionSize, FlashTiling, FlashVariant, MemEfficientTile,
    MemEfficientVariant,
};
pub use blas::{Blas, Matrix, Strided};
pub use branches::Branches;
pub use compile::{Define, SOURCES, compile, nvrtc_version};
pub use graph::Graph;
pub use grouped::Grouped;
pub use kernels::{Bits, Kernels, Tensor, address};
pub use listed::{Listed, list};
pub use lt::{Lt, Matmul};
pub use mapped::Mapped;
pub use timing::Cycles;

use super::library::Library;
use crate::device::error::CaseError;
use crate::device::error::ErrorKind;
use cudarc::driver::sys::{CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DriverError, result, sys};
use std::sync::Arc;
use timing::Timing;

/// A CUDA GPU that is open.
pub struct Cuda {
    index: usize,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    kernels: Kernels,
    blas: Blas,
    lt: Lt,
    timing: Timing,
    properties: Properties,
}

/// What the driver says of the GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Marketing name.
    pub name: String,
    /// `GPU-xxxxxxxx-...`, as NVML and nvidia-smi write it.
    pub uuid: String,
    /// Compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// Streaming multiprocessors.
    pub sm_count: i32,
    /// L2 cache in bytes.
    pub l2_bytes: u64,
    /// Device memory in bytes.
    pub memory_bytes: u64,
}

/// Whether there is a driver and a GPU.
///
/// # Errors
/// One line: no driver, or no GPU that it can use.
pub fn present() -> Result<(), String> {
    Library::Driver.require()?;
    match CudaContext::device_count() {
        Ok(count) if count > 0 => Ok(()),
        Ok(_) => Err("no CUDA GPU on this machine".to_owned()),
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => {
            Err("no CUDA GPU that the driver can use (is CUDA_VISIBLE_DEVICES empty?)".to_owned())
        }
        Err(error) => Err(format!("the CUDA driver does not start: {}", error_text(error))),
    }
}

impl Cuda {
    /// Opens GPU number `index`, compiles the kernels for it and prepares cuBLAS.
    ///
    /// # Errors
    /// One line: no driver, no such GPU, a library that is missing, kernels that do not compile.
    pub fn open(index: usize) -> Result<Self, String> {
        present().map_err(|reason| {
            format!(
                "{reason}; install NVIDIA's driver, or measure the CPU with NIGHT_SWEEP_DEVICE=cpu"
            )
        })?;
        let count = CudaContext::device_count().map_err(error_text)? as usize;
        if index >= count {
            let last = count - 1;
            return Err(format!(
                "there is no cuda:{index}: this machine has cuda:0 to cuda:{last}"
            ));
        }
        Library::Nvrtc.require()?;
        Library::Cublas.require()?;
        Library::CublasLt.require()?;
        let context = CudaContext::new(index).map_err(error_text)?;
        // SAFETY: all work goes to one stream, so no buffer ever needs an event to order its uses. The events would
        // also be recorded inside captured graphs.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(error_text)?;
        let properties = Properties::of(&context).map_err(error_text)?;
        if properties.compute_capability < (8, 0) {
            let (major, minor) = properties.compute_capability;
            return Err(format!(
                "{} has compute capability {major}.{minor}: Night Sweep's kernels need 8.0 (A100) or later",
                properties.name
            ));
        }
        let kernels = Kernels::load(&context, properties.compute_capability)?;
        let blas = Blas::new(&stream).map_err(|error| error.message)?;
        let lt = Lt::new(&stream).map_err(|error| error.message)?;
        let timing = Timing::new(Mapped::new(&context).map_err(|error| error.message)?);
        keep_freed_memory(&context).map_err(error_text)?;
        Ok(Cuda { index, context, stream, kernels, blas, lt, timing, properties })
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the driver says of it.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Device memory in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.properties.memory_bytes
    }

    /// The stream everything is enqueued on.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Our own kernels.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// cuBLAS.
    pub fn blas(&self) -> &Blas {
        &self.blas
    }

    /// cuBLASLt.
    pub fn lt(&self) -> &Lt {
        &self.lt
    }

    /// Device memory for `len` elements, not initialised.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] with the sizes, or what the driver reports.
    pub fn alloc<T: Bits>(&self, len: usize) -> Result<CudaSlice<T>, CaseError> {
        // SAFETY: `Bits` are plain numbers, valid whatever their bits; every user fills or overwrites the memory.
        unsafe { self.stream.alloc(len) }.map_err(|failure| {
            let mut case_error = error(failure);
            if case_error.kind == ErrorKind::OutOfMemory {
                let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
                case_error.message = format!(
                    "out of device memory: {:.2} GB asked for, {:.2} of {:.2} GB free",
                    (len * size_of::<T>()) as f64 / 1e9,
                    free as f64 / 1e9,
                    self.memory_bytes() as f64 / 1e9
                );
            }
            case_error
        })
    }

    /// Waits until everything enqueued is done.
    ///
    /// # Errors
    /// What the driver reports, errors of that work among it.
    pub fn synchronize(&self) -> Result<(), CaseError> {
        self.stream.synchronize().map_err(error)
    }

    /// Whether the context is lost: after an illegal address, say, every further call fails.
    pub fn is_lost(&self) -> bool {
        self.stream.synchronize().is_err()
    }

    /// `13.0`: the newest CUDA version that the driver supports.
    pub fn driver_cuda_version(&self) -> Option<String> {
        let mut version = 0;
        // SAFETY: writes one int.
        let status = unsafe { cudarc::driver::sys::cuDriverGetVersion(&mut version) };
        status.result().ok().map(|()| format!("{}.{}", version / 1000, version % 1000 / 10))
    }
}

/// Lets the driver's pool keep memory that is freed, for the next case: by default it returns everything to the system at
/// each synchronisation, and asking for it again takes milliseconds.
fn keep_freed_memory(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut all = u64::MAX;
    // SAFETY: the pool is the device's own; the attribute takes a u64.
    unsafe {
        let pool = result::device::get_mem_pool(context.cu_device())?;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        result::mem_pool::set_attribute(pool, attribute, (&raw mut all).cast())
    }
}

impl Properties {
    fn of(context: &CudaContext) -> Result<Self, DriverError> {
        Ok(Properties {
            name: context.name()?,
            uuid: uuid_text(context.uuid()?),
            compute_capability: context.compute_capability()?,
            sm_count: context
                .attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            l2_bytes: context.attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?
                as u64,
            memory_bytes: context.total_mem()? as u64,
        })
    }
}

/// As NVML and nvidia-smi write it.
fn uuid_text(uuid: sys::CUuuid) -> String {
    let uuid = uuid.bytes.map(|byte| format!("{:02x}", byte as u8)).concat();
    let parts = [&uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..]];
    format!("GPU-{}", parts.join("-"))
}

/// A driver error as the reason why a case has no time.
pub fn error(error: DriverError) -> CaseError {
    let kind = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => ErrorKind::OutOfMemory,
        _ => ErrorKind::Cuda,
    };
    CaseError { kind, message: error_text(error) }
}

fn error_text(error: DriverError) -> String {
    let name = format!("{:?}", error.0);
    match error.error_string() {
        Ok(text) => format!("{name}: {}", text.to_string_lossy()),
        Err(_) => name,
    }
}
