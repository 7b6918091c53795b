//! What an experiment was made to find out, as numbers and as sentences: a file each, listed in the
//! views that make sense of them.

pub mod backends;
pub mod heterogeneity;
pub mod kernel_only;
pub mod padding;
pub mod selection;
pub mod sweep;
