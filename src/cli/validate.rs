use crate::spec::Spec;
use crate::terminal::{print, say, text};
use anyhow::{Result, ensure};
use clap::Args;
use std::path::PathBuf;

/// Check specs: print the first thing wrong with each.
#[derive(Args)]
pub struct ValidateArgs {
    /// The specs.
    #[arg(required = true)]
    specs: Vec<PathBuf>,
}

pub fn run(arguments: &ValidateArgs) -> Result<u8> {
    let mut wrong = 0;
    for path in &arguments.specs {
        match Spec::load(path).and_then(|spec| Ok((spec.runnable()?, spec))) {
            Ok((count, spec)) => {
                print(&format!("{}: {count} experiments", text::path(path)))?;
                spec.say_other_types();
            }
            Err(error) => {
                wrong += 1;
                say(&format!("night-sweep: {error}"));
            }
        }
    }
    ensure!(wrong == 0, "{wrong} of {} specs cannot be run", arguments.specs.len());
    Ok(0)
}
