//! What the libraries are called, and what to say where one is missing.

use super::find::Places;

/// The CUDA versions that are supported, the newest first.
pub const CUDA_MAJORS: [u32; 2] = [13, 12];

/// A library to open.
pub struct Wanted {
    /// `libcublas`.
    pub stem: &'static str,
    /// The number in its SONAME, where that is not CUDA's.
    abi: Option<u32>,
    /// One of its functions, by which a copy is known to be the library.
    pub function: &'static str,
    /// On PyPI, without a suffix for the CUDA version.
    package: &'static str,
}

pub const CUBLASLT: Wanted =
    Wanted { stem: "libcublasLt", abi: None, function: "cublasLtCreate", package: "nvidia-cublas" };

pub const CUBLAS: Wanted =
    Wanted { stem: "libcublas", abi: None, function: "cublasCreate_v2", package: "nvidia-cublas" };

pub const NVRTC: Wanted =
    Wanted { stem: "libnvrtc", abi: None, function: "nvrtcVersion", package: "nvidia-cuda-nvrtc" };

pub const CUDNN: Wanted =
    Wanted { stem: "libcudnn", abi: Some(9), function: "cudnnGetVersion", package: "nvidia-cudnn" };

pub const CUPTI: Wanted = Wanted {
    stem: "libcupti",
    abi: None,
    function: "cuptiActivityEnable",
    package: "nvidia-cuda-cupti",
};

impl Wanted {
    /// Its SONAME in the libraries of a CUDA version.
    pub fn soname(&self, cuda_major: u32) -> String {
        format!("{}.so.{}", self.stem, self.abi.unwrap_or(cuda_major))
    }

    /// Its wheel. Since CUDA 13 the wheels have no suffix, except cuDNN's.
    fn wheel(&self, cuda_major: u32) -> String {
        match (self.abi, cuda_major) {
            (None, 13) => self.package.to_owned(),
            _ => format!("{}-cu{cuda_major}", self.package),
        }
    }
}

/// One line: `first`, of any of `cuda_majors`, was not found; where it was looked for, and how to
/// get it and what is needed `beside` it. `refused` is what the linker said of a file that is
/// there.
pub fn missing(
    (first, beside): (&Wanted, &[Wanted]),
    cuda_majors: &[u32],
    places: &Places,
    refused: Option<String>,
) -> String {
    let mut names: Vec<_> = cuda_majors.iter().map(|major| first.soname(*major)).collect();
    names.dedup();
    let names = names.join(" or ");
    let newest = cuda_majors.iter().copied().max().unwrap_or(CUDA_MAJORS[0]);
    let mut wheels: Vec<_> =
        [first].into_iter().chain(beside).map(|one| one.wheel(newest)).collect();
    wheels.dedup();
    let what = match refused {
        Some(refused) => format!("{names} does not open: {refused}"),
        None => format!("{names} was not found"),
    };
    format!(
        "{what} (searched: {}); get it by `pip install torch` or `pip install {}` in an active \
         environment, or from the CUDA toolkit",
        places.names(),
        wheels.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn nowhere() -> Places {
        Places::new(&[], |_| None, Path::new("/nowhere"))
    }

    #[test]
    fn what_is_missing_is_one_line_with_the_wheels_that_bring_it() {
        let said = missing((&CUBLASLT, &[CUBLAS, NVRTC]), &[13, 12], &nowhere(), None);
        assert_eq!(
            said,
            "libcublasLt.so.13 or libcublasLt.so.12 was not found (searched: the linker's cache, \
             /usr/local/cuda); get it by `pip install torch` or `pip install nvidia-cublas \
             nvidia-cuda-nvrtc` in an active environment, or from the CUDA toolkit"
        );
        let said = missing((&NVRTC, &[]), &[12], &nowhere(), None);
        assert!(said.starts_with("libnvrtc.so.12 was not found"), "{said}");
        assert!(said.contains("`pip install nvidia-cuda-nvrtc-cu12`"), "{said}");
    }

    #[test]
    fn a_library_that_does_not_open_is_said_with_the_reason() {
        let refused = Some("/x/libcudnn.so.9: file too short".to_owned());
        let said = missing((&CUDNN, &[]), &[13], &nowhere(), refused);
        let expected = "libcudnn.so.9 does not open: /x/libcudnn.so.9: file too short (searched";
        assert!(said.starts_with(expected), "{said}");
        assert!(said.contains("nvidia-cudnn-cu13"), "{said}");
    }
}
