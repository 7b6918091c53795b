//! Another program in the place of this process, without losing a signal in between: those that
//! come meanwhile wait until the new program listens.

use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null_mut;

/// Replaces this process, unless `is_to_stop`: the signals are blocked by then. Returns only if it
/// did not.
pub fn exec(
    command: &mut Command,
    signals: impl Iterator<Item = i32>,
    is_to_stop: impl Fn() -> bool + Send + Sync + 'static,
) -> Error {
    let signals: Vec<i32> = signals.collect();
    let block = move || {
        mask(libc::SIG_BLOCK, &signals);
        if is_to_stop() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    };
    // SAFETY: nothing is forked: the closure runs in this thread of this process, and calls only
    // functions that are async-signal-safe.
    unsafe { command.pre_exec(block) };
    command.exec()
}

/// Lets these signals through, which the program before this one may have blocked.
pub fn unblock(signals: impl Iterator<Item = i32>) {
    mask(libc::SIG_UNBLOCK, &signals.collect::<Vec<_>>());
}

fn mask(how: i32, signals: &[i32]) {
    // SAFETY: `set` is initialised by sigemptyset before it is used, and lives through the calls;
    // sigaddset refuses numbers that are no signals.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(how, &raw const set, null_mut());
    }
}
