//! Plans of the operations: GEMMs and attention, by library, by kernels of our own, or on the CPU.

mod error;
pub mod gemm;
pub mod plan;
pub mod planner;
pub(crate) mod pytorch;
pub(crate) mod resize;
pub mod sdpa;
pub mod verify;

pub use plan::{Plan, Verification};
