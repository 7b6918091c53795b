//! Signals that ask to stop: a run stops between two trials, and who has child processes hands them
//! on.

use super::exit::{INTERRUPTED, TRY_AGAIN};
use crate::device::hearer::Hearer;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use std::cell::{Cell, RefCell};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit codes of what was stopped, as those of a bench: start it again, or Ctrl-C.
pub const STOPPED: [u8; 2] = [TRY_AGAIN, INTERRUPTED];

/// Who asked to stop, what is handed on, and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub by: &'static str,
    pub signal: Signal,
    pub code: u8,
}

const fn asked(by: &'static str, signal: Signal, code: u8) -> Asked {
    Asked { by, signal, code }
}

const HEARD: [(i32, Asked); 4] = [
    (SIGINT, asked("Ctrl-C", Signal::INT, INTERRUPTED)),
    (SIGTERM, asked("SIGTERM", Signal::TERM, TRY_AGAIN)),
    (SIGUSR1, asked("SIGUSR1", Signal::USR1, TRY_AGAIN)),
    // A bench does not know that its terminal is gone.
    (SIGHUP, asked("SIGHUP", Signal::TERM, TRY_AGAIN)),
];

pub struct Signals {
    came: [Arc<AtomicBool>; HEARD.len()],
    last: Cell<Option<Asked>>,
    /// Whether a signal ends the process at once.
    is_starting: Arc<AtomicBool>,
    /// Of a bench, which may put another program in its place.
    hearer: RefCell<Option<Hearer>>,
}

impl Signals {
    pub fn listen() -> Result<Signals> {
        Signals::listen_to(&HEARD)
    }

    /// The same for a bench: SIGHUP ends it, and so does the second Ctrl-C, at once. Until
    /// [`Signals::begin`] each of them does, with its exit code: a driver may take long to start,
    /// and there is nothing to lose yet.
    pub fn listen_in_a_bench() -> Result<Signals> {
        let is_starting = Arc::new(AtomicBool::new(true));
        for (number, asked) in &HEARD[..3] {
            let is_starting = Arc::clone(&is_starting);
            flag::register_conditional_shutdown(*number, asked.code.into(), is_starting)?;
        }
        let interrupted = Arc::new(AtomicBool::new(false));
        // In this order: the first Ctrl-C must not yet see what it sets.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        // A file that outgrows the limit of `ulimit -f` is then an error of its write, and not the
        // end of the process.
        flag::register(SIGXFSZ, Arc::default())?;
        let signals = Signals { is_starting, ..Signals::listen_to(&HEARD[..3])? };
        let hearer = Hearer::start(HEARD.map(|(number, _)| number).to_vec())?;
        Ok(Signals { hearer: RefCell::new(Some(hearer)), ..signals })
    }

    /// Puts another program in the place of this process, which hears what comes meanwhile. Returns
    /// only if it cannot be started, or a signal came before.
    pub fn exec(&self, command: &mut Command) -> Error {
        if let Some(hearer) = self.hearer.take() {
            hearer.end();
        }
        match self.asked() {
            Some(_) => ErrorKind::Interrupted.into(),
            None => command.exec(),
        }
    }

    /// From now on a signal waits until it is asked for.
    pub fn begin(&self) {
        self.is_starting.store(false, Ordering::Relaxed);
    }

    fn listen_to(heard: &[(i32, Asked)]) -> Result<Signals> {
        let signals = Signals {
            came: Default::default(),
            last: Cell::new(None),
            is_starting: Arc::default(),
            hearer: RefCell::default(),
        };
        for (flag, (number, _)) in signals.came.iter().zip(heard) {
            flag::register(*number, Arc::clone(flag))?;
        }
        Ok(signals)
    }

    /// A signal that came since this was last asked, as it is to be handed on.
    pub fn take(&self) -> Option<Signal> {
        let mut came = self.came.iter().zip(HEARD);
        let (_, (_, asked)) = came.find(|(flag, _)| flag.swap(false, Ordering::Relaxed))?;
        self.last.set(Some(asked));
        Some(asked.signal)
    }

    /// The last of them.
    pub fn asked(&self) -> Option<Asked> {
        self.take();
        self.last.get()
    }

    /// What to exit with, if somebody asked to stop.
    pub fn code(&self) -> Option<u8> {
        self.asked().map(|asked| asked.code)
    }
}
