//! Keeps Criterion quiet: it prints for every benchmark, and its verbosity cannot be set by a program.

use rustix::fd::OwnedFd;
use rustix::stdio::{dup2_stderr, dup2_stdout, stderr, stdout};
use std::fs::OpenOptions;
use std::io::{Result, Write};

/// What is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hush {
    /// Everything: for the rounds before the last.
    All,
    /// Only the lines on what Criterion is about to do, which go to stderr; its results go to stdout.
    Status,
}

impl Hush {
    /// Runs `work` without that output.
    ///
    /// # Errors
    /// If the streams cannot be redirected.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> Result<T> {
        std::io::stdout().flush()?;
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        let _restored = Saved {
            stdout: (self == Hush::All).then(|| rustix::io::dup(stdout())).transpose()?,
            stderr: rustix::io::dup(stderr())?,
        };
        if self == Hush::All {
            dup2_stdout(&nowhere)?;
        }
        dup2_stderr(&nowhere)?;
        Ok(work())
    }
}

/// The streams as they were; put back when dropped, also by a panic.
struct Saved {
    stdout: Option<OwnedFd>,
    stderr: OwnedFd,
}

impl Drop for Saved {
    fn drop(&mut self) {
        // Nothing could be said of a failure: the stream to say it on is the one that failed.
        let _ = std::io::stdout().flush();
        if let Some(saved) = &self.stdout {
            let _ = dup2_stdout(saved);
        }
        let _ = dup2_stderr(&self.stderr);
    }
}
