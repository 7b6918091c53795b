//! A bench under way, watched: it gets the signals of this process, ends with it, and is killed
//! where it does not stop.

use super::leash::leashed;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::fs::File;
use std::io::Result;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a process is looked at.
pub const PERIOD: Duration = Duration::from_millis(20);

pub struct Watched {
    child: Child,
    /// How long it may take to stop.
    grace: Duration,
    asked: Option<Instant>,
    is_paused: bool,
}

impl Watched {
    /// Starts it without an input, in a process group of its own: a terminal's Ctrl-C reaches it
    /// once, through us. Two end a bench at once. `output` is where it writes.
    pub fn start(command: &Command, output: [File; 2], grace: Duration) -> Result<Watched> {
        let [stdout, stderr] = output;
        let mut command = leashed(command);
        command.process_group(0).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn()?;
        Ok(Watched { child, grace, asked: None, is_paused: false })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop; one that is paused goes on, to hear it.
    pub fn ask(&mut self, signal: Signal) {
        // It may have ended this moment; that is seen next.
        for signal in [signal, Signal::CONT] {
            let _ = kill_process(self.pid(), signal);
        }
        self.asked.get_or_insert_with(Instant::now);
    }

    /// How it ended, if it did; what it left running ends with it. One that was asked to stop and
    /// did not is killed.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.is_now(WaitIdOptions::EXITED) {
            // Before it is waited for: its id is then another's.
            self.kill();
            return self.child.wait().map(Some);
        }
        if self.asked.is_some_and(|asked| asked.elapsed() > self.grace) {
            self.kill();
        }
        Ok(None)
    }

    /// Whether somebody has paused it (SIGSTOP) since this was last asked.
    pub fn was_paused(&mut self) -> bool {
        let before = self.is_paused;
        self.is_paused = self.is_now(WaitIdOptions::STOPPED);
        self.is_paused && !before
    }

    fn is_now(&self, state: WaitIdOptions) -> bool {
        let options = state | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), options).is_ok_and(|found| found.is_some())
    }

    /// Ends it at once, with what it has started.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}
