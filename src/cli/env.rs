use crate::device::Device;
use crate::run::env;
use crate::terminal::{print, say};
use anyhow::{Result, anyhow};
use clap::Args;

/// Print the machine as env.json describes it.
#[derive(Args)]
pub struct EnvArgs {
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(arguments: &EnvArgs) -> Result<u8> {
    let choice = super::device::device(&arguments.device)?;
    let (device, note) = Device::open(choice).map_err(|line| anyhow!(line))?;
    if let Some(note) = note {
        say(&format!("night-sweep: {note}"));
    }
    print(&serde_json::to_string_pretty(&env::describe(&device))?)?;
    Ok(0)
}
