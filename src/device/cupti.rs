//! CUPTI's own start and end of each kernel, for examples/kernel_time.rs only: it slows launches
//! down.
//!
//! cudarc's `cupti` looks for no libcupti.so.13, panics where it finds none, and its status is a
//! Rust enum, to which a newer CUPTI's codes are undefined behaviour.

use crate::device::{DeviceError, libraries};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// `CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL`.
const KERNEL: c_int = 10;
/// Where a kernel's record holds its start and end in nanoseconds, and the address of its name: the
/// same since `CUpti_ActivityKernel4` of CUDA 9.
const START: usize = 16;
const END: usize = 24;
const NAME: usize = 104;
const BUFFER_BYTES: usize = 8 << 20;
const BUFFER_ALIGN: usize = 8;

/// A kernel that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its symbol.
    pub name: String,
    /// From its first block to its last, in nanoseconds.
    pub duration_ns: u64,
}

/// Filled by CUPTI's callback.
static KERNELS: Mutex<Vec<Ran>> = Mutex::new(Vec::new());

type Switch = unsafe extern "C" fn(c_int) -> c_int;
type Flush = unsafe extern "C" fn(u32) -> c_int;
type Request = unsafe extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
type Complete = unsafe extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);
type Register = unsafe extern "C" fn(Request, Complete) -> c_int;
type Next = unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> c_int;

/// `cuptiActivityGetNextRecord`, for the callback.
static NEXT: Mutex<Option<Next>> = Mutex::new(None);

/// The library, registered to record kernels.
pub struct Cupti {
    enable: Switch,
    disable: Switch,
    flush: Flush,
}

impl Cupti {
    /// Opens libcupti and registers.
    ///
    /// # Errors
    /// One line: it is not there, or it refuses (another profiler may be attached).
    pub fn open() -> Result<Self, String> {
        let stack = libraries::stack().map_err(|error| error.to_string())?;
        let library = stack.cupti().map_err(|error| error.to_string())?;
        let missing = |error: DeviceError| error.to_string();
        // SAFETY: these are the functions' types in cupti_activity.h, the same since CUDA 9.
        let (register, enable, disable, flush, next) = unsafe {
            (
                library.function::<Register>("cuptiActivityRegisterCallbacks").map_err(missing)?,
                library.function::<Switch>("cuptiActivityEnable").map_err(missing)?,
                library.function::<Switch>("cuptiActivityDisable").map_err(missing)?,
                library.function::<Flush>("cuptiActivityFlushAll").map_err(missing)?,
                library.function::<Next>("cuptiActivityGetNextRecord").map_err(missing)?,
            )
        };
        *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        // SAFETY: both callbacks live as long as the program.
        check("cuptiActivityRegisterCallbacks", unsafe { register(request, complete) })?;
        // Never closed: it has threads and exit handlers of its own.
        std::mem::forget(library);
        Ok(Cupti { enable, disable, flush })
    }

    /// The kernels that ran during `work`, which has to wait for them, as they ended.
    pub fn kernels<T>(
        &self,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<(T, Vec<Ran>), String> {
        KERNELS.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // SAFETY: the callbacks are registered.
        check("cuptiActivityEnable", unsafe { (self.enable)(KERNEL) })?;
        let worked = work();
        // SAFETY: as above; 1 is CUPTI_ACTIVITY_FLAG_FLUSH_FORCED: buffers that are not full too.
        check("cuptiActivityFlushAll", unsafe { (self.flush)(1) })?;
        // SAFETY: as above.
        check("cuptiActivityDisable", unsafe { (self.disable)(KERNEL) })?;
        let kernels = &mut *KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((worked?, std::mem::take(kernels)))
    }
}

fn check(call: &str, status: c_int) -> Result<(), String> {
    if status == 0 { Ok(()) } else { Err(format!("{call}: CUPTI error {status}")) }
}

fn layout() -> std::alloc::Layout {
    std::alloc::Layout::from_size_align(BUFFER_BYTES, BUFFER_ALIGN)
        .expect("the size is a multiple of the alignment")
}

unsafe extern "C" fn request(buffer: *mut *mut u8, size: *mut usize, records: *mut usize) {
    // SAFETY: CUPTI hands over three places to write to; the layout is not empty. A null buffer
    // makes it drop records.
    unsafe {
        *buffer = std::alloc::alloc(layout());
        *size = BUFFER_BYTES;
        *records = 0;
    }
}

unsafe extern "C" fn complete(
    _context: *mut c_void,
    _stream: u32,
    buffer: *mut u8,
    _size: usize,
    valid: usize,
) {
    let next = *NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut kernels = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut record = std::ptr::null_mut();
    // SAFETY: the buffer came from `request` and is CUPTI's no longer; every record starts with its
    // kind, a kernel's has its times and the address of a C string where they are read, and records
    // are aligned to 8 bytes.
    unsafe {
        while next.is_some_and(|next| next(buffer, valid, &mut record) == 0) {
            if record.cast::<c_int>().read() == KERNEL {
                let (start, end) = (record.add(START).cast::<u64>(), record.add(END).cast::<u64>());
                let name = record.add(NAME).cast::<*const c_char>().read();
                kernels.push(Ran {
                    name: CStr::from_ptr(name).to_string_lossy().into_owned(),
                    duration_ns: end.read().saturating_sub(start.read()),
                });
            }
        }
        std::alloc::dealloc(buffer, layout());
    }
}
