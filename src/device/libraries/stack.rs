//! The stack of this process: cuBLAS, cuBLASLt, NVRTC and cuDNN of one CUDA version.

use super::cublas::Cublas;
use super::cublaslt::Cublaslt;
use super::driver::cuda_version;
use super::find::Places;
use super::nvrtc::Nvrtc;
use super::open::Opened;
use super::wanted::{CUBLAS, CUBLASLT, CUDA_MAJORS, CUDNN, CUPTI, NVRTC, Wanted, missing};
use crate::device::DeviceError;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The libraries of one CUDA version, open until the process ends.
pub struct Stack {
    cuda_major: u32,
    /// cuBLAS.
    pub(in crate::device) cublas: Cublas,
    /// cuBLASLt.
    pub(in crate::device) cublaslt: Cublaslt,
    nvrtc: Nvrtc,
    cudnn: Result<Opened, DeviceError>,
}

/// What [`prefer`] was given.
#[derive(Default)]
struct Preference {
    folders: Vec<PathBuf>,
    cuda_major: Option<u32>,
}

/// A CUDA version some library of which is missing.
struct Incomplete {
    cuda_major: u32,
    /// How many were there, and what was said of the next.
    opened: usize,
    refused: Option<String>,
}

static PREFERENCE: OnceLock<Preference> = OnceLock::new();

/// Folders to take the libraries from before any other, and the CUDA version that they have to be
/// of: PyTorch's. The first call counts, and none counts after the first [`stack`].
pub fn prefer(folders: Vec<PathBuf>, cuda_major: Option<u32>) {
    PREFERENCE.get_or_init(|| Preference { folders, cuda_major });
}

/// The stack, opened at the first call. An error is one line: which library is missing, where it
/// was looked for, and how to get it.
pub fn stack() -> Result<&'static Stack, DeviceError> {
    static STACK: OnceLock<Result<Stack, DeviceError>> = OnceLock::new();
    STACK.get_or_init(Stack::open).as_ref().map_err(Clone::clone)
}

/// The stack's NVRTC, or one without the others: a machine that only compiles needs no more.
pub fn nvrtc() -> Result<&'static Nvrtc, DeviceError> {
    static ALONE: OnceLock<Result<Nvrtc, DeviceError>> = OnceLock::new();
    let alone = || {
        let (_, [library]) = open_all([NVRTC])?;
        Nvrtc::new(library)
    };
    match stack() {
        Ok(stack) => Ok(&stack.nvrtc),
        Err(_) => ALONE.get_or_init(alone).as_ref().map_err(Clone::clone),
    }
}

impl Stack {
    fn open() -> Result<Stack, DeviceError> {
        let (cuda_major, [cublaslt, cublas, nvrtc]) = open_all([CUBLASLT, CUBLAS, NVRTC])?;
        Ok(Stack {
            cuda_major,
            cublaslt: Cublaslt::new(cublaslt)?,
            cublas: Cublas::new(cublas)?,
            nvrtc: Nvrtc::new(nvrtc)?,
            cudnn: open_one(&CUDNN, cuda_major),
        })
    }

    /// 12 or 13.
    pub fn cuda_major(&self) -> u32 {
        self.cuda_major
    }

    /// cuDNN, not asked yet which CUDA version it is of; unsupported where there is none.
    pub(in crate::device) fn cudnn(&self) -> Result<&Opened, DeviceError> {
        self.cudnn.as_ref().map_err(Clone::clone)
    }

    /// CUPTI, which nothing needs but a comparison with it.
    pub(in crate::device) fn cupti(&self) -> Result<Opened, DeviceError> {
        open_one(&CUPTI, self.cuda_major)
    }

    /// Where each library came from.
    pub fn describe(&self) -> Vec<(&'static str, &Path)> {
        let mut paths = vec![
            ("cublas", self.cublas.library.path()),
            ("cublaslt", self.cublaslt.library.path()),
            ("nvrtc", self.nvrtc.library.path()),
        ];
        paths.extend(self.cudnn.as_ref().ok().map(|cudnn| ("cudnn", cudnn.path())));
        paths
    }
}

/// What was preferred is settled here.
fn preference() -> &'static Preference {
    PREFERENCE.get_or_init(Preference::default)
}

fn places() -> Places {
    Places::new(&preference().folders, |name| std::env::var_os(name), Path::new("/"))
}

/// Opens libraries, all of one CUDA version, and says which.
fn open_all<const N: usize>(wanted: [Wanted; N]) -> Result<(u32, [Opened; N]), DeviceError> {
    let places = places();
    let supported = supported()?;
    let mut best: Option<Incomplete> = None;
    for cuda_major in places.majors(&supported, |major| wanted[0].soname(major)) {
        let mut opened = Vec::new();
        let mut refused = None;
        for one in &wanted {
            match open(one, cuda_major, &places) {
                Ok(library) => opened.push(library),
                Err(error) => {
                    refused = error;
                    break;
                }
            }
        }
        match <[Opened; N]>::try_from(opened) {
            Ok(all) => return Ok((cuda_major, all)),
            Err(some) => {
                let opened = some.len();
                if best.as_ref().is_none_or(|best| opened > best.opened) {
                    best = Some(Incomplete { cuda_major, opened, refused });
                }
            }
        }
    }
    // The version that came furthest is the one to complete; any will do where there is nothing.
    let (majors, opened, refused) = match best {
        Some(best) if best.opened > 0 || best.refused.is_some() => {
            (vec![best.cuda_major], best.opened, best.refused)
        }
        _ => (supported, 0, None),
    };
    let (first, beside) = wanted[opened..].split_first().expect("one of them was not opened");
    Err(DeviceError::driver(missing((first, beside), &majors, &places, refused)))
}

fn open_one(wanted: &Wanted, cuda_major: u32) -> Result<Opened, DeviceError> {
    let places = places();
    open(wanted, cuda_major, &places).map_err(|refused| {
        DeviceError::unsupported(missing((wanted, &[]), &[cuda_major], &places, refused))
    })
}

fn open(wanted: &Wanted, cuda_major: u32, places: &Places) -> Result<Opened, Option<String>> {
    let soname = wanted.soname(cuda_major);
    Opened::open(&soname, wanted.function, places.files(&soname))
}

/// The CUDA versions to try: the one that is required, else those that the driver runs, or all
/// where there is no driver to ask.
fn supported() -> Result<Vec<u32>, DeviceError> {
    if let Some(major) = preference().cuda_major {
        return Ok(vec![major]);
    }
    let Some((newest, minor)) = cuda_version() else { return Ok(CUDA_MAJORS.to_vec()) };
    let supported: Vec<u32> = CUDA_MAJORS.into_iter().filter(|major| *major <= newest).collect();
    match supported.is_empty() {
        false => Ok(supported),
        true => Err(DeviceError::driver(format!(
            "the driver supports CUDA {newest}.{minor} only: CUDA 12 or 13 is needed; install a \
             newer driver"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceErrorKind, cudnn};

    #[test]
    #[ignore = "needs the CUDA libraries, but no GPU"]
    fn the_stack_is_of_one_cuda_version_and_has_every_function() {
        let stack = stack().unwrap();
        for (name, path) in stack.describe() {
            println!("{name}: {}", path.display());
            assert!(path.is_absolute() && path.is_file());
        }
        assert_eq!(stack.nvrtc.version().0 as u32, stack.cuda_major());
        assert!(std::ptr::eq(nvrtc().unwrap(), &stack.nvrtc));
        let message = |refused: Result<(), DeviceError>| refused.unwrap_err().to_string();
        assert_eq!(message(stack.cublas.check(3)), "cuBLAS: CUBLAS_STATUS_ALLOC_FAILED");
        assert_eq!(message(stack.cublaslt.check(15)), "cuBLASLt: CUBLAS_STATUS_NOT_SUPPORTED");
        for unknown in [stack.cublas.check(9_999), stack.cublaslt.check(9_999)] {
            assert_eq!(unknown.unwrap_err().kind, DeviceErrorKind::Driver);
        }
        assert_eq!(stack.nvrtc.check(6), Err("NVRTC_ERROR_COMPILATION".to_owned()));
        assert!(stack.nvrtc.check(9_999).is_err());
        match cudnn::Library::get() {
            Ok(library) => println!("cudnn {}", library.version_text()),
            Err(error) => {
                println!("{error}");
                assert_eq!(error.kind, DeviceErrorKind::Unsupported);
            }
        }
    }
}
