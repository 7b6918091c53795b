//! From a journal to what it says: raw.json, its analysis, summary.json. Pure functions.
//!
//! ```text
//! Run -> build -> Raw -> summarise (with the View of its type) -> Summary
//!    criterion_files
//! ```
//!
//! Everything after [`build`] is a function of [`raw::Raw`] alone, so that a run folder can be read
//! back and reported again.

pub mod breakdown;
pub mod build;
pub mod checks;
pub mod compared;
pub mod criterion_files;
pub mod curve;
pub mod findings;
pub mod peak;
pub mod raw;
mod secondary;
pub mod summarise;
pub mod summary;
pub mod view;
