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
use crate::spec::default_spec;
use anyhow::{Result, anyhow};
use std::path::PathBuf;

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

/// The spec that the benches take: one that the user names, else that of the device.
fn spec_path(named: Option<PathBuf>, is_cpu: bool) -> Result<PathBuf> {
    let default = || default_spec(if is_cpu { "night_sweep_cpu.yaml" } else { "night_sweep.yaml" });
    let path = named.map_or_else(default, Ok)?;
    Ok(std::path::absolute(path)?)
}
