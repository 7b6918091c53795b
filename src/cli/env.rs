use crate::device::Opened;
use crate::device::torch::{ALLOWED, TorchChoice};
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
    /// auto, no, or the path of an environment, a torch package or torch/lib.
    #[arg(long, env = "NIGHT_SWEEP_TORCH", default_value = "auto")]
    torch: String,
}

pub fn run(arguments: &EnvArgs) -> Result<u8> {
    let choice = super::device::device(&arguments.device)?;
    let torch: TorchChoice = arguments
        .torch
        .parse()
        .map_err(|_| anyhow!("--torch {:?}: allowed is {ALLOWED}", arguments.torch))?;
    let opened = Opened::new(choice, &torch).map_err(|line| anyhow!(line))?;
    let Opened { device, torch, note } = opened;
    let no_torch = torch.as_ref().err().filter(|reason| !reason.is_asked_for);
    let no_torch = no_torch.map(|reason| &reason.why);
    for line in note.iter().chain(no_torch) {
        say(&format!("night-sweep: {line}"));
    }
    let session = torch.as_ref().ok();
    print(&serde_json::to_string_pretty(&env::describe(&device, session.map(|it| &**it)))?)?;
    Ok(0)
}
