//! NVRTC: from kernels/*.cu to a cubin for one architecture, kept on disk.
//!
//! A cubin, not PTX: the driver would compile PTX again at every start, and refuses PTX of a newer
//! toolkit.

use crate::device::DeviceError;
use crate::device::libraries::{self, Nvrtc};
use crate::files::{self, write_atomically};
use crate::terminal::say;
use anyhow::Context;
use cudarc::nvrtc::sys;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::Once;

/// The kernel files. Those of attention are compiled per variant, when a plan asks for one.
pub const SOURCES: [(&str, &str); 8] = [
    ("fill.cu", include_str!("../../../kernels/fill.cu")),
    ("verify.cu", include_str!("../../../kernels/verify.cu")),
    ("math.cu", include_str!("../../../kernels/math.cu")),
    ("flash.cu", include_str!("../../../kernels/flash.cu")),
    ("flash_decode.cu", include_str!("../../../kernels/flash_decode.cu")),
    ("mem_efficient.cu", include_str!("../../../kernels/mem_efficient.cu")),
    ("pad.cu", include_str!("../../../kernels/pad.cu")),
    ("timing.cu", include_str!("../../../kernels/timing.cu")),
];

/// What the files include; a header comes before those that it includes itself.
const HEADERS: [(&str, &str); 4] = [
    ("decode_tiles.cuh", include_str!("../../../kernels/decode_tiles.cuh")),
    ("decode_parts.cuh", include_str!("../../../kernels/decode_parts.cuh")),
    ("mma.cuh", include_str!("../../../kernels/mma.cuh")),
    ("common.cuh", include_str!("../../../kernels/common.cuh")),
];

/// A macro and its value.
pub type Define = (&'static str, String);

/// Compiles a file of [`SOURCES`] with each of these sets of macros into the cache, on all cores.
/// What fails here fails again where it is needed, and says why.
pub fn compile_ahead(file: &str, variants: &[Vec<Define>], (major, minor): (i32, i32)) {
    let arch = format!("sm_{major}{minor}");
    variants.par_iter().for_each(|defines| _ = compile(file, defines, &arch));
}

/// Compiles a file of [`SOURCES`] with these macros for `arch` (`sm_90`), or takes the cubin from
/// the cache. An error holds the compiler's log.
pub fn compile(file: &str, defines: &[Define], arch: &str) -> Result<Vec<u8>, DeviceError> {
    let (_, source) = SOURCES
        .iter()
        .find(|(name, _)| *name == file)
        .ok_or_else(|| DeviceError::driver(format!("there is no kernel file {file}")))?;
    // NVRTC has no file system to look for headers in, and needs none for headers of our own.
    let mut source = (*source).to_owned();
    for (header, text) in HEADERS {
        source = source.replace(&format!("#include \"{header}\""), text);
    }
    let root = cache_root(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let cached = root.map(|root| {
        root.join("night-sweep").join(cubin_name(file, &source, defines, arch, nvrtc_version()))
    });
    if let Some(cubin) = cached.as_ref().and_then(|path| files::read(path, files::LARGE_BYTES).ok())
    {
        // A cubin is an ELF file; anything else there is not ours.
        if cubin.starts_with(b"\x7fELF") {
            return Ok(cubin);
        }
    }
    let cubin = run_nvrtc(file, &source, defines, arch).map_err(DeviceError::driver)?;
    if let Some(path) = cached
        && let Err(error) = store(&path, &cubin)
    {
        // It costs a second at every start, no more; once is often enough to say so.
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            say(&format!(
                "night-sweep: the compiled kernels are not cached, and are compiled anew at every \
                 start: {error:#}"
            ));
        });
    }
    Ok(cubin)
}

/// The version of NVRTC, `13.0`.
pub fn nvrtc_version() -> Option<(i32, i32)> {
    libraries::nvrtc().ok().map(Nvrtc::version)
}

/// The user's folder for caches by the XDG base directory specification: an empty or relative path
/// counts as unset.
fn cache_root(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute =
        |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(xdg_cache_home).or_else(|| Some(absolute(home)?.join(".cache")))
}

/// `<file>-<arch>-<hash of source, macros, architecture and compiler>.cubin`.
fn cubin_name(
    file: &str,
    source: &str,
    defines: &[Define],
    arch: &str,
    nvrtc: Option<(i32, i32)>,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(source);
    for (name, value) in defines {
        add(name);
        add(value);
    }
    add(arch);
    add(&format!("{nvrtc:?}"));
    let hash: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{file}-{arch}-{hash}.cubin")
}

/// Keeps the cubin for the next start, whole or not at all.
fn store(path: &Path, cubin: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    write_atomically(path, cubin)
}

fn run_nvrtc(file: &str, source: &str, defines: &[Define], arch: &str) -> Result<Vec<u8>, String> {
    let nvrtc = libraries::nvrtc().map_err(|error| error.to_string())?;
    let text = |bytes: &str| CString::new(bytes).map_err(|_| format!("{file} holds a NUL byte"));
    let program = Program::new(nvrtc, &text(source)?, &text(file)?)
        .map_err(|error| format!("NVRTC does not start: {error}"))?;
    let mut options = vec![format!("--gpu-architecture={arch}"), "--std=c++17".to_owned()];
    options.extend(defines.iter().map(|(name, value)| format!("--define-macro={name}={value}")));
    let options = options.iter().map(|option| text(option)).collect::<Result<Vec<_>, _>>()?;
    program.compile(&options).map_err(|error| {
        format!("{file} does not compile for {arch}: {error}\n{}", program.log())
    })?;
    program.cubin().map_err(|error| format!("{file}: no cubin for {arch}: {error}"))
}

/// An NVRTC program that is destroyed when dropped. Errors are NVRTC's names for them.
struct Program {
    nvrtc: &'static Nvrtc,
    raw: sys::nvrtcProgram,
}

impl Program {
    fn new(nvrtc: &'static Nvrtc, source: &CStr, name: &CStr) -> Result<Self, String> {
        let mut raw = null_mut();
        let (source, name, none) = (source.as_ptr(), name.as_ptr(), null());
        // SAFETY: `raw` is where the new program goes; the strings end with a NUL, and are copied;
        // there are no headers.
        let status = unsafe { (nvrtc.create_program)(&mut raw, source, name, 0, none, none) };
        nvrtc.check(status)?;
        Ok(Program { nvrtc, raw })
    }

    fn compile(&self, options: &[CString]) -> Result<(), String> {
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program is alive, and so are the options, as many as are said.
        let status = unsafe {
            (self.nvrtc.compile_program)(self.raw, options.len() as c_int, options.as_ptr())
        };
        self.nvrtc.check(status)
    }

    fn log(&self) -> String {
        let log = self.bytes(self.nvrtc.log_size, self.nvrtc.log);
        let text = |log: Vec<u8>| {
            CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy().into_owned()
        };
        log.map_or_else(|error| format!("(no log: {error})"), text)
    }

    fn cubin(&self) -> Result<Vec<u8>, String> {
        self.bytes(self.nvrtc.cubin_size, self.nvrtc.cubin)
    }

    /// What `get` writes, of the length that `size` tells.
    fn bytes(
        &self,
        size: unsafe extern "C" fn(sys::nvrtcProgram, *mut usize) -> u32,
        get: unsafe extern "C" fn(sys::nvrtcProgram, *mut c_char) -> u32,
    ) -> Result<Vec<u8>, String> {
        let mut len = 0;
        // SAFETY: writes one size.
        self.nvrtc.check(unsafe { size(self.raw, &mut len) })?;
        let mut bytes = vec![0u8; len];
        // SAFETY: the buffer has the size that NVRTC asked for.
        self.nvrtc.check(unsafe { get(self.raw, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: created by `new`, destroyed once.
        unsafe { (self.nvrtc.destroy_program)(&mut self.raw) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_where_the_xdg_base_directory_specification_says() {
        let root = |xdg: Option<&str>, home: Option<&str>| {
            cache_root(xdg.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(root(Some("/c"), Some("/h")), Some(PathBuf::from("/c")));
        for unset in [None, Some(""), Some("cache"), Some("./cache")] {
            assert_eq!(root(unset, Some("/h")), Some(PathBuf::from("/h/.cache")), "{unset:?}");
            assert_eq!(root(unset, None), None);
            assert_eq!(root(unset, Some("")), None);
        }
    }

    #[test]
    fn a_cubin_is_named_by_all_it_is_made_of() {
        let define = |name, value: &str| (name, value.to_owned());
        let defines = [define("A", "1"), define("B", "2")];
        let name = |source, defines: &[Define], arch, nvrtc| {
            cubin_name("a.cu", source, defines, arch, nvrtc)
        };
        let nvrtc = Some((12, 9));
        let first = name("x", &defines, "sm_90", nvrtc);
        // The same whatever compiled Night Sweep.
        assert_eq!(first, "a.cu-sm_90-7de30b4be9414697.cubin");
        let others = [
            name("y", &defines, "sm_90", nvrtc),
            name("x", &defines[..1], "sm_90", nvrtc),
            name("x", &[define("A", "1B"), define("", "2")], "sm_90", nvrtc),
            name("x", &[define("B", "2"), define("A", "1")], "sm_90", nvrtc),
            name("x", &defines, "sm_80", nvrtc),
            name("x", &defines, "sm_90", Some((13, 0))),
            name("x", &defines, "sm_90", None),
        ];
        for (index, other) in others.iter().enumerate() {
            assert!(*other != first && !others[..index].contains(other), "{index}");
        }
    }

    #[test]
    fn a_cubin_is_cached_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("night-sweep").join("a.cubin");
        store(&path, b"\x7fELF").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\x7fELF");
        // Nobody can make a folder in a file, whoever he is.
        assert!(store(&path.join("cache").join("b.cubin"), b"\x7fELF").is_err());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
