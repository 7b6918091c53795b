//! Benches as processes.

pub mod executable;
