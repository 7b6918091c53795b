//! The operations and the plans that run them: GEMMs and attention, by library, by kernels of our
//! own, or on the CPU.

pub mod error;
pub mod gemm;
pub mod plan;
pub mod planner;
pub(crate) mod resize;
pub mod sdpa;
pub mod verify;
