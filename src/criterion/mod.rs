//! The adapter to Criterion: its arguments, its baselines, and the samples that it is handed after
//! the measurement.

pub(crate) mod arguments;
pub(crate) mod feed;
pub(crate) mod quiet;
