//! Signals that are handed on to child processes, which stop as they do alone.

use super::exit::{INTERRUPTED, TRY_AGAIN};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::cell::Cell;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit codes of what was stopped, as those of a bench: start it again, or Ctrl-C.
pub const STOPPED: [u8; 2] = [TRY_AGAIN, INTERRUPTED];

/// Each with what is handed on, and the exit code: a bench does not know that its terminal is gone.
const HEARD: [(i32, Signal, u8); 4] = [
    (SIGINT, Signal::INT, INTERRUPTED),
    (SIGTERM, Signal::TERM, TRY_AGAIN),
    (SIGUSR1, Signal::USR1, TRY_AGAIN),
    (SIGHUP, Signal::TERM, TRY_AGAIN),
];

/// The signals that came.
pub struct Signals {
    came: [Arc<AtomicBool>; HEARD.len()],
    /// Exit code of the last of them.
    code: Cell<Option<u8>>,
}

impl Signals {
    /// From here on they are noted, and end nothing by themselves.
    pub fn listen() -> Result<Signals> {
        let came: [Arc<AtomicBool>; HEARD.len()] = Default::default();
        for (flag, (number, ..)) in came.iter().zip(HEARD) {
            flag::register(number, Arc::clone(flag))?;
        }
        Ok(Signals { came, code: Cell::new(None) })
    }

    /// A signal that came since this was last asked, as it is to be handed on.
    pub fn take(&self) -> Option<Signal> {
        let (_, (_, signal, code)) =
            self.came.iter().zip(HEARD).find(|(flag, _)| flag.swap(false, Ordering::Relaxed))?;
        self.code.set(Some(code));
        Some(signal)
    }

    /// What to exit with, if somebody asked to stop.
    pub fn code(&self) -> Option<u8> {
        self.take();
        self.code.get()
    }
}
