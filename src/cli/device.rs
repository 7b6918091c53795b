//! The device that a command is about.

use crate::device::{DeviceChoice, cuda};
use anyhow::{Result, anyhow};

/// What `--device` says.
pub fn device(text: &str) -> Result<DeviceChoice> {
    text.parse().map_err(|allowed| anyhow!("--device {text}: allowed is {allowed}"))
}

/// Whether a bench measures the CPU.
pub fn is_cpu(device: DeviceChoice) -> bool {
    match device {
        DeviceChoice::Cpu => true,
        DeviceChoice::Cuda(_) => false,
        DeviceChoice::Auto => cuda::present().is_err(),
    }
}
