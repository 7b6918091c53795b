//! Benches as processes.
//!
//! ```text
//! a folder or a file -> executable -> child: variables, arguments -> a process
//! a plan -> state: what is measured so far, on disk      signals -> handed on to the processes
//! a process -> watched: asked to stop, killed where it does not, by its leash when we are gone
//! ```

pub mod child;
pub mod environment;
pub mod executable;
pub mod exit;
pub mod leash;
pub mod signals;
pub mod state;
pub mod watched;
