//! The adapter to Criterion: its arguments, its baselines, and the samples that it is handed after the measurement.

pub mod arguments;
pub mod baseline;
pub mod feed;
pub mod quiet;
