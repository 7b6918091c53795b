//! A child that does not outlive this process, however this one ends.
//!
//! Linux kills a process whose parent is gone (`PR_SET_PDEATHSIG`), but the process has to ask for
//! that itself. So the child begins as this program, asks, and becomes the bench.

use super::executable::RUNNING;
use super::exit::{REFUSED, TRY_AGAIN};
use crate::terminal::say;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The process id of the parent, for the program that is to become its child.
pub const LEASH: &str = "NIGHT_SWEEP_LEASH";

/// The same command without its streams, as a child that ends with this process; where there is no
/// `/proc` it does not.
pub fn leashed(command: &Command) -> Command {
    let program = command.get_program();
    let mut leashed = match Path::new(RUNNING).exists() {
        true => Command::new(RUNNING),
        false => Command::new(program),
    };
    if leashed.get_program() == RUNNING {
        leashed.arg(program).env(LEASH, std::process::id().to_string());
    }
    leashed.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => leashed.env(name, value),
            None => leashed.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        leashed.current_dir(dir);
    }
    leashed
}

/// Becomes the program that the arguments name. Returns only if it cannot.
pub fn become_child(parent: &str) -> ExitCode {
    let asked = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have ended before.
    let is_there = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        say(&format!("night-sweep: {LEASH} is set by night-sweep for its own processes: unset it"));
        return ExitCode::from(REFUSED);
    };
    if let Err(error) = asked {
        say(&format!("night-sweep: cannot tie this process to its parent: {error}"));
        return ExitCode::from(REFUSED);
    }
    if !is_there {
        return ExitCode::from(TRY_AGAIN);
    }
    let error = Command::new(&program).args(arguments).env_remove(LEASH).exec();
    say(&format!(
        "night-sweep: cannot run {}: {error}: was it built for this machine?",
        program.display()
    ));
    ExitCode::from(REFUSED)
}
