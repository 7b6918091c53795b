//! The CUDA libraries, found at run time: one stack for each process.
//!
//! The dynamic linker knows a library by its SONAME: the `libcublas.so.13` that is loaded first
//! serves everybody in the process, PyTorch's operators, cuDNN and us alike. So all of them are
//! opened here once, of one CUDA major version: what is loaded already, else what the folders of
//! [`prefer`] hold, else what the machine has.
//!
//! cudarc keeps its types and the driver; its loader looks for names of its own, its functions
//! return statuses as Rust enums, to which the codes of a newer library are undefined behaviour,
//! and they panic where a symbol is missing.

mod cublas;
mod cublaslt;
mod driver;
mod find;
mod nvrtc;
mod open;
mod stack;
mod wanted;

pub(super) use cublas::Cublas;
pub(super) use cublaslt::{Cublaslt, HeuristicResult};
pub(super) use driver::{cuda_version, require_driver};
pub use find::{site_packages, wheel_folders};
pub(super) use nvrtc::Nvrtc;
pub(super) use open::Opened;
pub(super) use stack::nvrtc;
pub use stack::{Stack, prefer, stack};
