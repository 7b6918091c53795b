//! One thread hears the signals of a process. So they can be kept, each of them, for another
//! program that is put in its place.

use std::io::Result;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null_mut;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

pub struct Hearer {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Hearer {
    /// Of this thread and those that it starts from now on, none hears these signals but the one
    /// of the hearer. It also hears what came to the program before this one, in [`Hearer::end`].
    pub fn start(signals: Vec<i32>) -> Result<Hearer> {
        mask(libc::SIG_BLOCK, &signals);
        let (end, ended) = channel();
        let hear = move || {
            mask(libc::SIG_UNBLOCK, &signals);
            // An error is the end.
            _ = ended.recv();
        };
        let thread = Builder::new().name("signals".to_owned()).spawn(hear)?;
        Ok(Hearer { end, thread })
    }

    /// What comes from now on waits for the program that is put in the place of this one: it starts
    /// with the signals blocked.
    pub fn end(self) {
        drop(self.end);
        // A thread that panicked hears nothing either.
        _ = self.thread.join();
    }
}

/// A command that hears all signals, whoever starts it.
pub fn hearing(mut command: Command) -> Command {
    let hear = || {
        mask(libc::SIG_SETMASK, &[]);
        Ok(())
    };
    // SAFETY: the closure runs in the new process, and calls only functions that are
    // async-signal-safe.
    unsafe { command.pre_exec(hear) };
    command
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
