//! Scaled dot-product attention, forward: a file for each backend, the choice in `attention`.
//!
//! To add a backend: a file with its [`AttentionBackend`], a line in `backends`, and its name in
//! [`Backend`](crate::workload::Backend).

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
mod flash_decode;
mod math;
mod mem_efficient;
mod on_the_fly;
pub(crate) mod policy;
mod problem;
mod pytorch;

pub use attention::{Attention, Chosen, Extent, proven};
pub use backend::{Attend, AttentionBackend, Context, Machine, Made};
pub use backends::{Look, Route, find, look};
pub use on_the_fly::CudaSdpaOnTheFly;
pub use problem::SdpaProblem;
