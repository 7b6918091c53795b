//! `night-sweep model`: from the files of a model to an entry that measures it, and back.
//!
//! ```text
//! config.json -> Architecture -+
//! dims file   -> items --------+-> Assigned (ModelLayers) -> shapes, spec -> a run of M1
//! run of M1   -> advised dimensions -> the dims file again
//! ```

pub(crate) mod assign;
pub(crate) mod config;
pub(crate) mod shapes;
pub(crate) mod spec;
pub(crate) mod written;
