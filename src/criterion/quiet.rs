//! Criterion prints what it is about to do, and its verbosity cannot be set by a program; and its
//! `println!` panics where standard output cannot be written, a log on a full disk say. So while it
//! is at work, and nothing else is, its status goes nowhere and its results go to memory first.

use crate::terminal::{flush, print_bytes, text};
use anyhow::Result;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::stdio::{dup2_stderr, dup2_stdout, stderr, stdout};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};

/// Runs `work`, and then prints what it wrote to standard output. A pipe would have to be read
/// meanwhile; memory takes whatever a library's thread may add.
///
/// # Errors
/// The outer one if the streams cannot be redirected, and then nothing was done; the inner one if
/// standard output cannot be written.
pub fn during<T>(work: impl FnOnce() -> T) -> io::Result<(T, Result<()>)> {
    flush();
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    let mut results = File::from(memfd_create("criterion", MemfdFlags::CLOEXEC)?);
    let saved = Saved { stdout: rustix::io::dup(stdout())?, stderr: rustix::io::dup(stderr())? };
    dup2_stdout(&results)?;
    dup2_stderr(&nowhere)?;
    let done = work();
    drop(saved);
    let mut text = Vec::new();
    results.rewind()?;
    results.read_to_end(&mut text)?;
    Ok((done, print_bytes(&text)))
}

/// From here on a panic is reported on today's stderr, wherever that is redirected to then:
/// Criterion panics too.
pub fn report_panics() {
    let Ok(stderr) = rustix::io::dup(stderr()) else { return };
    let stderr = File::from(stderr);
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(
            &stderr,
            "{}\nnight-sweep: this is a bug, here or in Criterion. Nothing \
             measured before is lost: `night-sweep list --runs` shows what can be resumed",
            text::line(&format!("night-sweep: {panic}"))
        );
    }));
}

/// The streams as they were; put back when dropped, also by a panic.
struct Saved {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Drop for Saved {
    fn drop(&mut self) {
        // Nothing could be said of a failure: the stream to say it on is the one that failed.
        flush();
        let _ = dup2_stdout(&self.stdout);
        let _ = dup2_stderr(&self.stderr);
    }
}
