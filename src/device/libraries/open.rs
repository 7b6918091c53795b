//! One library that is open.

use crate::device::DeviceError;
use crate::files;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::path::{Path, PathBuf};

/// Linux's value: the copy that the process has loaded, or none.
const RTLD_NOLOAD: c_int = 4;

/// A shared library, closed when dropped.
pub struct Opened {
    library: Library,
    path: PathBuf,
}

impl Opened {
    /// The copy of `soname` that the process has loaded, or the first of `files` that opens and has
    /// `function`. The error is what the dynamic linker said of a file that is there.
    pub fn open(
        soname: &str,
        function: &str,
        files: impl Iterator<Item = PathBuf>,
    ) -> Result<Opened, Option<String>> {
        if let Ok(opened) = Opened::at(soname.as_ref(), RTLD_NOLOAD, function) {
            return Ok(opened);
        }
        let mut refused = None;
        for file in files {
            match Opened::at(file.as_os_str(), 0, function) {
                Ok(opened) => return Ok(opened),
                // Of a bare name that the linker does not know it says nothing else.
                Err(error) if error.starts_with(&format!("{soname}: cannot open")) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused)
    }

    /// Global, as everything in the process has to use this copy.
    fn at(file: &OsStr, flag: c_int, function: &str) -> Result<Opened, String> {
        // SAFETY: the initialisers are those of NVIDIA's libraries, which ask nothing of the
        // caller.
        let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL | flag) }
            .map_err(|error| message(&error))?;
        // SAFETY: the symbol is only looked for, as an address.
        let address = unsafe { library.get::<*const ()>(function) }
            .map_err(|error| message(&error))?
            .as_raw_ptr();
        let path = mapped_file(address as usize).unwrap_or_else(|| PathBuf::from(file));
        Ok(Opened { library, path })
    }

    /// Where it came from, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks up a function, which may be used as long as the library is open.
    ///
    /// # Safety
    /// `F` has to be the function's type.
    pub unsafe fn function<F: Copy>(&self, name: &str) -> Result<F, DeviceError> {
        // SAFETY: as the caller promises.
        unsafe { self.library.get::<F>(name) }.map(|function| *function).map_err(|_| {
            DeviceError::unsupported(format!("{} has no function {name}", self.path.display()))
        })
    }
}

/// A string of a library; none where it is null.
///
/// # Safety
/// It has to be null, or end with a NUL and not change.
pub unsafe fn static_text(text: *const c_char) -> Option<String> {
    // SAFETY: as the caller promises.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// What the linker said, on one line.
fn message(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string()).replace('\n', " ")
}

/// The file that is mapped at an address of this process.
fn mapped_file(address: usize) -> Option<PathBuf> {
    let maps = files::read(Path::new("/proc/self/maps"), files::LARGE_BYTES).ok()?;
    file_in(&String::from_utf8_lossy(&maps), address)
}

/// Lines are `start-end permissions offset device inode path`, and only the path has a slash.
fn file_in(maps: &str, address: usize) -> Option<PathBuf> {
    let line = maps.lines().find(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        let bounds = range.and_then(|(start, end)| Some(number(start)?..number(end)?));
        bounds.is_some_and(|bounds| bounds.contains(&address))
    })?;
    Some(PathBuf::from(&line[line.find('/')?..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_at_an_address_is_found_in_the_map() {
        let maps = "\
            7f00-7f80 r--p 00000000 fd:01 17    /opt/with space/libcublas.so.13.1.0\n\
            7f80-7fff r-xp 00001000 fd:01 17    /opt/with space/libcublas.so.13.1.0\n\
            8000-8fff rw-p 00000000 00:00 0 \n";
        let found = Some(PathBuf::from("/opt/with space/libcublas.so.13.1.0"));
        assert_eq!(file_in(maps, 0x7f80), found);
        assert_eq!(file_in(maps, 0x7fff), None);
        assert_eq!(file_in(maps, 0x8000), None);
    }

    #[test]
    fn the_copy_that_is_loaded_serves_and_knows_its_file() {
        let opened = Opened::open("libc.so.6", "strlen", std::iter::empty()).unwrap();
        assert!(opened.path().is_absolute(), "{}", opened.path().display());
        let nothing = Opened::open("libc.so.6", "cublasCreate_v2", std::iter::empty());
        assert_eq!(nothing.err(), Some(None));
    }

    #[test]
    fn a_file_that_does_not_open_is_named_and_a_name_that_is_unknown_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let broken = dir.path().join("libnight.so.1");
        fs::write(&broken, "no library").unwrap();
        let files = [PathBuf::from("libnight.so.1"), broken.clone()];
        let refused = Opened::open("libnight.so.1", "f", files.into_iter()).err().unwrap();
        let refused = refused.unwrap();
        assert!(refused.starts_with(broken.to_str().unwrap()), "{refused}");
    }
}
