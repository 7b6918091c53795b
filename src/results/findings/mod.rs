//! What an experiment was made to find out, as numbers and as sentences: a file each, listed in the
//! views that make sense of them.

pub(crate) mod backends;
pub(crate) mod decode;
pub(crate) mod energy;
pub(crate) mod heterogeneity;
pub(crate) mod kernel_only;
pub(crate) mod low_rank;
pub(crate) mod padding;
pub(crate) mod possible;
pub(crate) mod pytorch;
pub(crate) mod selection;
pub(crate) mod stand_ins;
pub mod sweep;
