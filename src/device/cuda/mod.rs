//! One CUDA GPU: its context, the one stream everything is enqueued on, its kernels and libraries.

mod array;
mod attention;
mod blas;
mod branches;
mod compile;
mod graph;
mod grouped;
mod hold;
mod kernels;
mod lt;
mod timing;

pub use array::{DeviceArray, Elements};
pub use attention::{
    AttentionKernel, DecodeKernel, DecodeVariant, FlashTiling, FlashVariant, MemEfficientTile,
    MemEfficientVariant,
};
pub use blas::{Blas, Matrix, Strided};
pub use branches::Branches;
pub use compile::{Define, SOURCES, compile, nvrtc_version};
pub use graph::Graph;
pub use grouped::Grouped;
pub use kernels::{Bits, Kernels, Tensor, address};
pub use lt::{Lt, Matmul};
pub use timing::Cycles;

use super::libraries::{self, require_driver};
use crate::device::{DeviceError, DeviceErrorKind};
use crate::workload::DType;
use cudarc::driver::sys::{CUdevice_attribute as Attribute, CUresult};
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

/// A GPU that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Marketing name.
    pub name: String,
    /// As [`Properties::uuid`].
    pub uuid: String,
}

/// The GPUs that this process may use, in the order of `cuda:N`. The driver is asked, not NVML: it
/// knows what CUDA_VISIBLE_DEVICES leaves and how that is counted.
pub fn list() -> Result<Vec<Listed>, DeviceError> {
    present()?;
    let listed = (0..CudaContext::device_count()?).map(|index| {
        let device = result::device::get(index)?;
        let uuid = uuid_text(result::device::get_uuid(device)?);
        Ok(Listed { name: result::device::get_name(device)?, uuid })
    });
    listed.collect()
}

/// One line where there is no driver, or no GPU that it can use.
pub fn present() -> Result<(), DeviceError> {
    require_driver()?;
    match CudaContext::device_count() {
        Ok(count) if count > 0 => Ok(()),
        Ok(_) => Err(DeviceError::driver("no CUDA GPU on this machine")),
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => Err(DeviceError::driver(
            "no CUDA GPU that the driver can use (is CUDA_VISIBLE_DEVICES empty?)",
        )),
        Err(error) => {
            let error = DeviceError::from(error);
            Err(DeviceError::driver(format!("the CUDA driver does not start: {error}")))
        }
    }
}

impl Cuda {
    /// Opens GPU number `index`, compiles the kernels for it and prepares cuBLAS. An error is one
    /// line, unless the kernels do not compile.
    pub fn open(index: usize) -> Result<Self, DeviceError> {
        present().map_err(|reason| {
            DeviceError::driver(format!(
                "{reason}; install NVIDIA's driver, or measure the CPU with NIGHT_SWEEP_DEVICE=cpu"
            ))
        })?;
        let count = CudaContext::device_count()? as usize;
        if index >= count {
            let last = count - 1;
            return Err(DeviceError::driver(format!(
                "there is no cuda:{index}: this machine has cuda:0 to cuda:{last}"
            )));
        }
        libraries::stack()?;
        let context = CudaContext::new(index)?;
        // SAFETY: all work goes to one stream, so no buffer ever needs an event to order its uses.
        // The events would also be recorded inside captured graphs.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        let properties = Properties::of(&context)?;
        if properties.compute_capability < (8, 0) {
            let (major, minor) = properties.compute_capability;
            return Err(DeviceError::driver(format!(
                "{} has compute capability {major}.{minor}: Night Sweep's kernels need 8.0 (A100) \
                 or later",
                properties.name
            )));
        }
        let kernels = Kernels::load(&stream, properties.compute_capability)?;
        let blas = Blas::new(&stream)?;
        let lt = Lt::new(&stream)?;
        let timing = Timing::new(&context)?;
        keep_freed_memory(&context)?;
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
    pub fn alloc<T: Bits>(&self, len: usize) -> Result<CudaSlice<T>, DeviceError> {
        // SAFETY: `Bits` are valid whatever their bits; every user overwrites the memory.
        unsafe { self.stream.alloc(len) }.map_err(|failure| {
            let mut error = DeviceError::from(failure);
            if error.kind == DeviceErrorKind::OutOfMemory {
                let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
                error.message = format!(
                    "out of device memory: {:.2} GB asked for, {:.2} of {:.2} GB free",
                    (len * size_of::<T>()) as f64 / 1e9,
                    free as f64 / 1e9,
                    self.memory_bytes() as f64 / 1e9
                );
            }
            error
        })
    }

    /// A tensor of `size` as [`Kernels::fill_normal`] fills it.
    pub fn normal(
        &self,
        dtype: DType,
        (seed, tensor): (u64, u32),
        size: [usize; 2],
        data: [usize; 2],
    ) -> Result<Tensor, DeviceError> {
        let mut out = self.alloc(size[0] * size[1])?;
        self.kernels.fill_normal(&mut out, dtype, (seed, tensor), size, data)?;
        Ok(out)
    }

    /// Device memory for `len` zeros.
    pub fn zeros<T: Bits>(&self, len: usize) -> Result<CudaSlice<T>, DeviceError> {
        Ok(self.stream.alloc_zeros(len)?)
    }

    /// A copy in device memory.
    pub fn upload<T: Bits>(&self, values: &[T]) -> Result<CudaSlice<T>, DeviceError> {
        Ok(self.stream.clone_htod(values)?)
    }

    /// A copy in host memory; waits for everything enqueued before it.
    pub fn download<T: Bits>(&self, values: &CudaSlice<T>) -> Result<Vec<T>, DeviceError> {
        Ok(self.stream.clone_dtoh(values)?)
    }

    /// Waits until everything enqueued is done, whose errors show here.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(self.stream.synchronize()?)
    }

    /// Whether the context is lost: after an illegal address, say, every further call fails.
    pub fn is_lost(&self) -> bool {
        self.stream.synchronize().is_err()
    }

    /// `13.0`: the newest CUDA version that the driver supports.
    pub fn driver_cuda_version(&self) -> Option<String> {
        libraries::cuda_version().map(|(major, minor)| format!("{major}.{minor}"))
    }
}

/// Lets the driver's pool keep memory that is freed, for the next case: by default it returns
/// everything to the system at each synchronisation, and asking for it again takes milliseconds.
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
            sm_count: context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            l2_bytes: context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)? as u64,
            memory_bytes: context.total_mem()? as u64,
        })
    }
}

fn uuid_text(uuid: sys::CUuuid) -> String {
    let uuid = uuid.bytes.map(|byte| format!("{:02x}", byte as u8)).concat();
    let parts = [&uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..]];
    format!("GPU-{}", parts.join("-"))
}
