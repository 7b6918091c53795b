//! The command line of `night-sweep`, one file a command: its arguments, and `run`, which returns
//! the exit code. `main.rs` lists the commands.

pub mod advise;
pub mod compare;
mod comparison;
pub mod env;
pub mod fan_out;
pub mod gate;
pub mod list;
pub mod merge;
pub mod report;
pub mod run;
pub mod summary;
pub mod validate;

use crate::device::{DeviceChoice, cuda};
use crate::run::settings::VARIABLES;
use anyhow::{Result, anyhow};

/// The variables that steer a bench, for `night-sweep --help`.
pub fn variables_help() -> String {
    let lines =
        VARIABLES.map(|(name, takes, does)| format!("  {name:<25} {takes}\n{:28}{does}", ""));
    format!("A bench is steered by environment variables:\n{}", lines.join("\n"))
}

/// What `--device` says.
fn device(text: &str) -> Result<DeviceChoice> {
    text.parse().map_err(|allowed| anyhow!("--device {text}: allowed is {allowed}"))
}

/// Whether a bench measures the CPU.
fn is_cpu(device: DeviceChoice) -> bool {
    match device {
        DeviceChoice::Cpu => true,
        DeviceChoice::Cuda(_) => false,
        DeviceChoice::Auto => cuda::present().is_err(),
    }
}
