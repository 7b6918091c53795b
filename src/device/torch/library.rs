//! libtorch, loaded at run time: the functions of its C shim
//! (`torch/csrc/inductor/aoti_torch/c/shim.h`, whose ABI PyTorch keeps), and a few C++ functions
//! for which there is no promise.

use super::find::Installation;
use crate::device::{DeviceError, DeviceErrorKind};
use libloading::os::unix::{Library as Loaded, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CStr, c_char, c_void};

/// 0 is success.
pub(super) type Status = i32;
/// `AtenTensorHandle`: a tensor on PyTorch's heap.
pub(super) type RawTensor = *mut c_void;
/// `StableIValue`: an argument or a result of an operator, in 64 bits.
pub(super) type Value = u64;
/// A guard of PyTorch's current stream.
pub(super) type RawGuard = *mut c_void;

type FromBlob = unsafe extern "C" fn(
    *mut c_void,
    i64,
    *const i64,
    *const i64,
    i64,
    i32,
    i32,
    i32,
    *mut RawTensor,
) -> Status;
type Call = unsafe extern "C" fn(*const c_char, *const c_char, *mut Value) -> Status;
type Text = unsafe extern "C" fn() -> *const c_char;

/// The functions of a PyTorch that is loaded.
pub(super) struct Library {
    pub from_blob: FromBlob,
    pub new_handle: unsafe extern "C" fn(RawTensor, *mut RawTensor) -> Status,
    pub delete: unsafe extern "C" fn(RawTensor) -> Status,
    pub data_ptr: unsafe extern "C" fn(RawTensor, *mut *mut c_void) -> Status,
    pub dim: unsafe extern "C" fn(RawTensor, *mut i64) -> Status,
    pub size: unsafe extern "C" fn(RawTensor, i64, *mut i64) -> Status,
    pub stride: unsafe extern "C" fn(RawTensor, i64, *mut i64) -> Status,
    pub float16: unsafe extern "C" fn() -> i32,
    pub bfloat16: unsafe extern "C" fn() -> i32,
    pub float32: unsafe extern "C" fn() -> i32,
    pub float8_e4m3: Option<unsafe extern "C" fn() -> i32>,
    pub device_cpu: unsafe extern "C" fn() -> i32,
    pub device_cuda: unsafe extern "C" fn() -> i32,
    pub set_grad_mode: unsafe extern "C" fn(bool),
    /// Any operator by its name; since 2.7.
    pub call: Option<Call>,
    /// What the last failure on this thread was; since 2.13, and on stderr before.
    pub last_error: Option<Text>,
    /// C++'s `operator new`: an optional argument lies where the dispatcher can free it.
    pub operator_new: unsafe extern "C" fn(usize) -> *mut c_void,
    pub switches: Option<Switches>,
    pub tf32: Option<Tf32>,
    pub streams: Option<Streams>,
    /// `c10::FLAGS_caffe2_log_level`: messages below this severity are not printed.
    pub log_level: Option<*mut i32>,
    /// Open as long as their functions may be called.
    loaded: Vec<Loaded>,
}

// SAFETY: functions, and the address of a number that only `Library::quietly` writes.
unsafe impl Sync for Library {}
// SAFETY: as above.
unsafe impl Send for Library {}

/// Which attention backends may be chosen: the setters of `at::Context`, which
/// `torch.nn.attention.sdpa_kernel` uses as well.
pub(super) struct Switches {
    pub context: unsafe extern "C" fn() -> *mut c_void,
    pub flash: SetSwitch,
    pub mem_efficient: SetSwitch,
    pub math: SetSwitch,
    pub cudnn: SetSwitch,
}
/// Whether float32 may be multiplied in tf32: `torch.backends.cuda.matmul.allow_tf32`.
pub(super) struct Tf32 {
    pub context: unsafe extern "C" fn() -> *mut c_void,
    pub allow: SetSwitch,
}
type SetSwitch = unsafe extern "C" fn(*mut c_void, bool);

/// PyTorch's current stream; there is none on the CPU.
pub(super) struct Streams {
    pub create_guard: unsafe extern "C" fn(*mut c_void, i32, *mut RawGuard) -> Status,
    pub delete_guard: unsafe extern "C" fn(RawGuard) -> Status,
}

/// In the order in which each finds what it needs.
const FOR_CPU: [&str; 2] = ["libc10.so", "libtorch_cpu.so"];
const FOR_CUDA: [&str; 5] =
    ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

/// glog's FATAL, above which nothing is.
const ONLY_FATAL: i32 = 3;

impl Library {
    /// Loads PyTorch's libraries for good. An error is one line.
    pub(super) fn load(installation: &Installation, for_cuda: bool) -> Result<Self, DeviceError> {
        let folder = installation.lib();
        let names: &[&str] = if for_cuda { &FOR_CUDA } else { &FOR_CPU };
        let mut loaded = Vec::new();
        for name in names {
            let path = folder.join(name);
            // SAFETY: PyTorch's initialisers, as `import torch` runs them. Global, so that each
            // finds the ones before it, and all later libraries of CUDA those that came with it.
            let library = unsafe { Loaded::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
            loaded.push(library.map_err(|error| {
                DeviceError::driver(format!(
                    "PyTorch in {} does not load: {error}",
                    folder.display()
                ))
            })?);
        }
        Self::of(loaded, for_cuda).map_err(|name| {
            DeviceError::driver(format!("PyTorch in {} has no {name}", folder.display()))
        })
    }

    /// The functions, or the name of the first one that is missing.
    fn of(loaded: Vec<Loaded>, for_cuda: bool) -> Result<Self, &'static str> {
        let l = &loaded[..];
        // SAFETY: each type is that of the declaration in shim.h, or of the C++ function whose name
        // is mangled; a method takes its object first.
        unsafe {
            Ok(Library {
                from_blob: required(l, "aoti_torch_create_tensor_from_blob")?,
                // 2.6 has it by its older name alone.
                new_handle: required(l, "aoti_torch_new_tensor_handle")
                    .or_else(|_| required(l, "aoti_torch_assign_tensors_out"))?,
                delete: required(l, "aoti_torch_delete_tensor_object")?,
                data_ptr: required(l, "aoti_torch_get_data_ptr")?,
                dim: required(l, "aoti_torch_get_dim")?,
                size: required(l, "aoti_torch_get_size")?,
                stride: required(l, "aoti_torch_get_stride")?,
                float16: required(l, "aoti_torch_dtype_float16")?,
                bfloat16: required(l, "aoti_torch_dtype_bfloat16")?,
                float32: required(l, "aoti_torch_dtype_float32")?,
                float8_e4m3: symbol(l, "aoti_torch_dtype_float8_e4m3fn"),
                device_cpu: required(l, "aoti_torch_device_type_cpu")?,
                device_cuda: required(l, "aoti_torch_device_type_cuda")?,
                set_grad_mode: required(l, "aoti_torch_grad_mode_set_enabled")?,
                call: symbol(l, "aoti_torch_call_dispatcher"),
                last_error: symbol(l, "torch_exception_get_what_without_backtrace"),
                operator_new: required(l, "_Znwm")?,
                switches: Switches::of(l),
                tf32: Tf32::of(l),
                streams: if for_cuda { Some(Streams::of(l)?) } else { None },
                log_level: symbol(l, "FLAGS_caffe2_log_level"),
                loaded,
            })
        }
    }

    /// Another function, if there is one.
    ///
    /// # Safety
    /// `T` has to be its type.
    pub(super) unsafe fn function<T: Copy>(&self, name: &str) -> Option<T> {
        // SAFETY: as the caller promises.
        unsafe { symbol(&self.loaded, name) }
    }

    /// Fails where a call of the shim did.
    pub(super) fn check(&self, status: Status, what: &str) -> Result<(), DeviceError> {
        if status == 0 {
            return Ok(());
        }
        let text = self.last_error.map(|last_error| {
            // SAFETY: PyTorch keeps the text of this thread's last failure until the next one.
            let text = unsafe { last_error() };
            // SAFETY: null, or a string that ends with a NUL.
            let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
            first_line(&text.unwrap_or_default().to_string_lossy()).to_owned()
        });
        let text = text.filter(|text| !text.is_empty());
        let why = text.unwrap_or_else(|| "its message stands on stderr".to_owned());
        let kind = match why.contains("out of memory") {
            true => DeviceErrorKind::OutOfMemory,
            false => DeviceErrorKind::Driver,
        };
        Err(DeviceError { kind, message: format!("PyTorch: {what}: {why}") })
    }

    /// Runs `work` while PyTorch prints nothing: of a refusal that is expected it would print
    /// twenty lines.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(level) = self.log_level else { return work() };
        // SAFETY: a number of libc10's, which it reads when it has a message. What else prints
        // meanwhile is PyTorch's own threads, which have nothing to do.
        let before = unsafe { level.replace(ONLY_FATAL) };
        let done = work();
        // SAFETY: as above.
        unsafe { level.write(before) };
        done
    }
}

impl Switches {
    fn of(l: &[Loaded]) -> Option<Self> {
        // SAFETY: `at::Context& at::globalContext()`, and methods `void (bool)` of it.
        unsafe {
            Some(Switches {
                context: symbol(l, "_ZN2at13globalContextEv")?,
                flash: symbol(l, "_ZN2at7Context14setSDPUseFlashEb")?,
                mem_efficient: symbol(l, "_ZN2at7Context21setSDPUseMemEfficientEb")?,
                math: symbol(l, "_ZN2at7Context13setSDPUseMathEb")?,
                cudnn: symbol(l, "_ZN2at7Context14setSDPUseCuDNNEb")?,
            })
        }
    }
}

impl Tf32 {
    fn of(l: &[Loaded]) -> Option<Self> {
        // SAFETY: as of `Switches`.
        unsafe {
            Some(Tf32 {
                context: symbol(l, "_ZN2at13globalContextEv")?,
                allow: symbol(l, "_ZN2at7Context18setAllowTF32CuBLASEb")?,
            })
        }
    }
}

impl Streams {
    fn of(l: &[Loaded]) -> Result<Self, &'static str> {
        // SAFETY: as declared in shim.h.
        unsafe {
            Ok(Streams {
                create_guard: required(l, "aoti_torch_create_cuda_stream_guard")?,
                delete_guard: required(l, "aoti_torch_delete_cuda_stream_guard")?,
            })
        }
    }
}

/// A function, or the address of a variable, in any of the libraries or in what they need.
///
/// # Safety
/// `T` has to be its type.
unsafe fn symbol<T: Copy>(libraries: &[Loaded], name: &str) -> Option<T> {
    let mut libraries = libraries.iter().rev();
    // SAFETY: as the caller promises; the libraries are never unloaded.
    libraries.find_map(|library| unsafe { library.get::<T>(name.as_bytes()) }.ok()).map(|it| *it)
}

/// [`symbol`], or its name.
///
/// # Safety
/// As of [`symbol`].
unsafe fn required<T: Copy>(libraries: &[Loaded], name: &'static str) -> Result<T, &'static str> {
    // SAFETY: as the caller promises.
    unsafe { symbol(libraries, name) }.ok_or(name)
}

/// What PyTorch says, without the stack that follows.
fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}
