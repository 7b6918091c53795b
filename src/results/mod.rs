//! From a journal to what it says. All after [`build`] is a function of [`raw::Raw`] alone, so that
//! a run folder can be read back and reported again.
//!
//! ```text
//! Run -> build -> Raw -> summarise (with the View of its type) -> Summary
//!    criterion_files
//! ```

#![allow(missing_docs)] // of what its name says

pub(crate) mod breakdown;
pub mod build;
pub(crate) mod checks;
pub(crate) mod compared;
pub mod criterion_files;
pub(crate) mod curve;
mod cycles;
mod energy;
pub(crate) mod findings;
pub(crate) mod folder;
pub(crate) mod intervals;
pub mod model;
pub(crate) mod peak;
pub(crate) mod possible;
pub mod raw;
pub mod read;
mod secondary;
pub mod summarise;
pub mod summary;
pub mod view;
