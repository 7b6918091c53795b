//! The run journal: appended to as a run goes, read to report it, resume it or merge its shards.
//!
//! A line counts once its newline is on disk. A process killed in the middle of a write leaves a
//! last line without one, which is dropped; anything else that cannot be read is an error with its
//! line number. A journal that is there at all has its header: it gets its name only then.

pub(crate) mod check;
pub(crate) mod home;
pub(crate) mod merge;
mod reader;
pub mod record;
mod run;
pub(crate) mod runs;
pub(crate) mod shard;
mod writer;

pub use reader::read;
pub use run::{ByCase, Run};
pub(crate) use writer::lock;
pub use writer::{Claim, FILE_NAME, Journal, is_being_written};

#[cfg(test)]
pub(crate) mod tests;
