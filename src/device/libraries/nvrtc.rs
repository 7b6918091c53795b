//! The functions of libnvrtc that are used, with results as the integers that they are in C.

use super::open::{Opened, static_text};
use crate::device::DeviceError;
use cudarc::nvrtc::sys::nvrtcProgram as Program;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{c_char, c_int};

type Status = u32;

/// The library and its functions.
pub struct Nvrtc {
    pub library: Opened,
    /// Major and minor.
    version: (i32, i32),
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    /// `program, source, name, number of headers, headers, their names`.
    pub create_program: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    pub destroy_program: unsafe extern "C" fn(*mut Program) -> Status,
    pub compile_program: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    pub log_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    pub log: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    pub cubin_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    pub cubin: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    /// Its built-in headers, held open; none where NVRTC has to find them itself.
    _builtins: Option<Library>,
}

impl Nvrtc {
    pub(super) fn new(library: Opened) -> Result<Self, DeviceError> {
        // SAFETY: each type is that of nvrtc.h, of CUDA 12 and 13.
        unsafe {
            let (mut major, mut minor) = (0, 0);
            let ask_version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status =
                library.function("nvrtcVersion")?;
            ask_version(&mut major, &mut minor);
            Ok(Nvrtc {
                version: (major, minor),
                error_string: library.function("nvrtcGetErrorString")?,
                create_program: library.function("nvrtcCreateProgram")?,
                destroy_program: library.function("nvrtcDestroyProgram")?,
                compile_program: library.function("nvrtcCompileProgram")?,
                log_size: library.function("nvrtcGetProgramLogSize")?,
                log: library.function("nvrtcGetProgramLog")?,
                cubin_size: library.function("nvrtcGetCUBINSize")?,
                cubin: library.function("nvrtcGetCUBIN")?,
                _builtins: builtins(&library, (major, minor)),
                library,
            })
        }
    }

    /// Major and minor, `(13, 0)`.
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// The name of the error of a call that did not succeed.
    pub fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: NVRTC answers any result with a static string.
        let name = unsafe { static_text((self.error_string)(status)) };
        Err(name.unwrap_or_else(|| format!("NVRTC error {status}")))
    }
}

/// NVRTC opens its built-in headers by name when it compiles. That of CUDA 13.0's wheel has no
/// RPATH, and finds them only if they are loaded already.
fn builtins(nvrtc: &Opened, (major, minor): (i32, i32)) -> Option<Library> {
    let file = nvrtc.path().with_file_name(format!("libnvrtc-builtins.so.{major}.{minor}"));
    // SAFETY: the library holds data, and initialises nothing.
    unsafe { Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL) }.ok()
}
