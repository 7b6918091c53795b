//! Scaled dot-product attention, forward: a file for each backend, and the choice among them in
//! `attention`.
//!
//! To add a backend: a file with its [`AttentionBackend`], a line in `backends`, and its name in
//! [`Backend`](crate::workload::operation::Backend).

mod attention;
mod backend;
mod backends;
mod cpu;
mod cpu_blocked;
mod cpu_math;
#[cfg(test)]
mod cpu_tests;
mod cuda;
mod cudnn;
mod flash;
mod fused;
mod math;
mod math_fp16;
mod mem_efficient;
mod on_the_fly;
pub(crate) mod policy;
mod problem;
mod timing;

pub use attention::{Attention, Chosen, Extent, prove};
pub use backend::{About, Attend, AttentionBackend, Context, Machine, Made};
pub use backends::{BACKENDS, Route, color, find};
pub use cpu::CpuSdpa;
pub use on_the_fly::{CpuSdpaOnTheFly, CudaSdpaOnTheFly};
pub use problem::SdpaProblem;
