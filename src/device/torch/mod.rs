//! PyTorch: the kernels that users run, called from Rust through the C shim of the PyTorch that
//! they have installed. No Python runs.

mod call;
mod direct;
mod find;
mod library;
mod operators;
mod precision;
mod tensor;

pub use call::{Session, Target};
pub use find::{ALLOWED, Installation, Search, TorchChoice};
pub use operators::{AttentionCall, Choice, Product};
pub use tensor::{Memory, MemoryMut, Operand, Output};

use crate::device::{DeviceError, libraries};
use library::Library;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

/// A PyTorch that is loaded, for the rest of the process.
pub struct Torch {
    installation: Installation,
    library: Library,
}

impl Torch {
    /// Loads a PyTorch. There can be one in a process: another one is refused. An error is one
    /// line. `driver_major` is the newest CUDA version of the driver, or none on the CPU.
    pub fn load(
        installation: &Installation,
        driver_major: Option<u32>,
    ) -> Result<&'static Torch, DeviceError> {
        static LOADED: OnceLock<Result<Torch, DeviceError>> = OnceLock::new();
        if let Some(refusal) = installation.refusal(driver_major) {
            return Err(DeviceError::unsupported(refusal));
        }
        let load = || {
            // Before anybody opens them: its copies serve the whole process.
            libraries::prefer(installation.library_folders(), installation.cuda_major());
            let library = Library::load(installation, driver_major.is_some())?;
            Ok(Torch { installation: installation.clone(), library })
        };
        let torch = LOADED.get_or_init(load).as_ref().map_err(Clone::clone)?;
        match torch.installation == *installation {
            true => Ok(torch),
            false => Err(DeviceError::driver(format!(
                "PyTorch {} is loaded already: a process has one",
                torch.installation.version
            ))),
        }
    }

    /// Which it is.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }
}

/// The versions of PyTorch and of the cuDNN that it calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// `2.11.0+cu130`.
    pub version: String,
    /// `9.19.0`; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cudnn: Option<String>,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.version)?;
        self.cudnn.as_ref().map_or(Ok(()), |cudnn| write!(f, " with cuDNN {cudnn}"))
    }
}

impl Versions {
    /// All that rows or trials ran, in words: that of each once, or `none`.
    pub fn list<'a>(all: impl Iterator<Item = &'a Versions>) -> String {
        let each: BTreeSet<String> = all.map(Versions::to_string).collect();
        match each.is_empty() {
            true => "none".to_owned(),
            false => each.into_iter().collect::<Vec<_>>().join(" and "),
        }
    }
}
