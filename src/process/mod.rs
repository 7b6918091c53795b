//! Benches as processes.
//!
//! ```text
//! a folder or a file -> executable -> child: variables, arguments -> a process
//! a plan -> state: what is measured so far, on disk      signals -> handed on to the processes
//! ```

pub mod child;
pub mod executable;
pub mod exit;
pub mod signals;
pub mod state;
