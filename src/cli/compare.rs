use super::comparison::{Output, WHICH};
use crate::advise::input::percentage;
use crate::compare::side::{criterion, runs};
use crate::compare::stored::{self, Allowed};
use crate::journal::home::criterion_home;
use anyhow::{Context, Result};
use clap::Args;
use std::path::Path;

/// Say which cases of one run, or of one of Criterion's baselines, are slower in another.
#[derive(Args)]
#[command(after_help = WHICH)]
pub struct CompareArgs {
    /// A run folder, or a folder of several runs; with --criterion the name of a baseline.
    base: String,
    /// The same for what is judged; with --criterion `new` is the newest run.
    cand: String,
    /// Compare two of Criterion's baselines, as `cargo bench -- --save-baseline NAME` makes them.
    #[arg(long)]
    criterion: bool,
    /// The least slowdown that fails the comparison; 5% is the least allowed.
    #[arg(long, default_value = "5%")]
    threshold: String,
    /// Compare also what was measured on different GPU models, drivers, protocols or schemas.
    #[arg(long)]
    allow_mismatch: bool,
    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &CompareArgs) -> Result<u8> {
    let CompareArgs { base, cand, .. } = arguments;
    let sides: &[(&str, &Path)] = match arguments.criterion {
        true => &[],
        false => &[("the base", Path::new(base)), ("the candidate", Path::new(cand))],
    };
    arguments.output.ensure_replaceable(&[], sides)?;
    let (base, cand) = match arguments.criterion {
        true => criterion::read_both(&criterion_home(), base, cand)?,
        false => (runs::read(Path::new(base))?, runs::read(Path::new(cand))?),
    };
    let threshold = percentage(&arguments.threshold).context("--threshold")?;
    let allowed =
        Allowed { mismatch: arguments.allow_mismatch, missing: arguments.output.allow_missing };
    let mut comparison = stored::compare(&base, &cand, threshold, allowed)?;
    if arguments.criterion {
        let note = "Criterion's files do not say on which device they were measured, nor which \
                    kernels ran";
        comparison.notes.push(note.to_owned());
    }
    arguments.output.answer(&comparison)
}
