//! A run that is asked to stop: by Ctrl-C, or by a cluster that wants its node back. It stops
//! between two trials.

use crate::process::exit::{INTERRUPTED, TRY_AGAIN};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Listens for signals.
pub struct Stop {
    /// The last signal that came; 0 is none.
    signal: Arc<AtomicUsize>,
}

/// Who asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// For a person.
    pub by: &'static str,
    /// What the process ends with.
    pub code: u8,
}

impl Stop {
    /// From here on SIGTERM, SIGUSR1 and Ctrl-C are noted. The second Ctrl-C ends the process at
    /// once.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen() -> Result<Stop> {
        let (signal, interrupted) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        // In this order: the first Ctrl-C must not yet see what it sets.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        // A file that outgrows the limit of `ulimit -f` is then an error of its write, and not the
        // end of the process.
        flag::register(SIGXFSZ, Arc::default())?;
        for number in [SIGINT, SIGTERM, SIGUSR1] {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
        }
        Ok(Stop { signal })
    }

    /// Whether somebody asked.
    pub fn asked(&self) -> Option<Asked> {
        match self.signal.load(Ordering::Relaxed) as i32 {
            SIGINT => Some(Asked { by: "Ctrl-C", code: INTERRUPTED }),
            SIGTERM => Some(Asked { by: "SIGTERM", code: TRY_AGAIN }),
            SIGUSR1 => Some(Asked { by: "SIGUSR1", code: TRY_AGAIN }),
            _ => None,
        }
    }
}
