//! The adapter to Criterion: its arguments, its baselines, and the samples it is fed with.

pub mod arguments;
pub mod hush;
pub mod recorder;
