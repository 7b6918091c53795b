//! Keeps Criterion quiet: it prints for every benchmark, and its verbosity cannot be set by a program. And keeps a log on a
//! full disk from ending the run: Rust's `println!` panics there.

use rustix::fd::OwnedFd;
use rustix::stdio::{dup2_stderr, dup2_stdout, stderr, stdout};
use std::fs::{File, OpenOptions};
use std::io::{Read, Result, Write};
use std::sync::Once;

/// What is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hush {
    /// Everything: for the trials before the last.
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
        let _ = std::io::stdout().flush();
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        // What Criterion prints of one benchmark is a tenth of what a pipe holds.
        let (mut heard, spoken) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&heard, true)?;
        let saved =
            Saved { stdout: rustix::io::dup(stdout())?, stderr: rustix::io::dup(stderr())? };
        match self {
            Hush::All => dup2_stdout(&nowhere)?,
            Hush::Status => dup2_stdout(&spoken)?,
        }
        dup2_stderr(&nowhere)?;
        let done = work();
        drop(saved);
        let mut text = Vec::new();
        // It ends in an error, for there is nothing more to read and a writer left.
        let _ = heard.read_to_end(&mut text);
        if let Err(error) = std::io::stdout().write_all(&text) {
            static SAID: Once = Once::new();
            let what = format!(
                "night-sweep: standard output cannot be written ({error}); the run goes on"
            );
            SAID.call_once(|| say(&what));
        }
        Ok(done)
    }
}

/// From here on a panic is heard on today's stderr, whatever is hushed then: Criterion panics too.
pub fn hear_panics() {
    let Ok(stderr) = rustix::io::dup(stderr()) else { return };
    let stderr = File::from(stderr);
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(
            &stderr,
            "night-sweep: {panic}\nnight-sweep: this is a bug, here or in Criterion. Nothing measured before is lost: \
             `night-sweep list --runs` shows what can be resumed"
        );
    }));
}

/// Writes a line to stderr. Where that cannot be written there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The streams as they were; put back when dropped, also by a panic.
struct Saved {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Drop for Saved {
    fn drop(&mut self) {
        // Nothing could be said of a failure: the stream to say it on is the one that failed.
        let _ = std::io::stdout().flush();
        let _ = dup2_stdout(&self.stdout);
        let _ = dup2_stderr(&self.stderr);
    }
}
