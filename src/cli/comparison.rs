//! What `compare` and `gate` share: which of the two to use, and how an answer is printed.

use crate::compare::comparison::Comparison;
use crate::compare::output::{self, Format};
use crate::compare::reference::answer::CardComparison;
use crate::files;
use crate::terminal::{print, print_commands};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

/// Which of the two commands to use when; part of the help of both.
pub const WHICH: &str = "\
Which one:
  compare  reads what was measured before, in seconds, and needs no device. Day-to-day variance is
           in the numbers: changes from 5 % up fail. For a look after `cargo bench`, for releases,
           and where the old build cannot be run any more.
  gate     measures two builds in turn on one machine, in minutes, and fails from 1 % on
           (`--threshold`). For pull requests. `gate --aa` first, once a week and on every new
           machine: it finds the machine's noise floor.
Exit codes: 0 nothing that counts got slower, 1 something did, fails now or is missing, 2 bad input,
3 no answer possible, 75 (gate) stopped: the same command goes on, 130 by Ctrl-C.";

/// What both take.
#[derive(Args)]
pub struct Output {
    /// How to print the answer.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Write all formats and the plots into this folder (with --reference the JSON and the
    /// markdown); an earlier comparison there is replaced, anything else is refused.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Let the candidate lack cases that the base has; without this they fail.
    #[arg(long)]
    pub allow_missing: bool,
}

impl Output {
    /// Refuses before measuring what would be refused afterwards: an --out that another made, and
    /// paths within one another.
    pub fn ensure_replaceable(
        &self,
        folders: &[(&str, &Path)],
        others: &[(&str, &Path)],
    ) -> Result<()> {
        let here = ("the current folder", Path::new("."));
        let out = self.out.as_deref().map(|out| ("--out", out));
        let folders: Vec<_> = folders.iter().copied().chain(out).collect();
        files::ensure_apart(&folders, &[&[here], others].concat())?;
        match &self.out {
            Some(out) => files::ensure_replaceable(out, &output::FOLDER).context("--out"),
            None => Ok(()),
        }
    }

    /// Refuses before reading anything what is no format of a reference.
    pub fn ensure_of_card(&self) -> Result<()> {
        let is_known = matches!(self.format, Format::Table | Format::Json | Format::Markdown);
        ensure!(is_known, output::NO_FORMAT_OF_CARD);
        Ok(())
    }

    /// Writes and prints what a card is against its reference, and returns the exit code.
    pub fn answer_of_card(&self, comparison: &CardComparison) -> Result<u8> {
        if let Some(out) = &self.out {
            output::write_card(comparison, out)?;
        }
        print(&output::render_card(comparison, self.format)?)?;
        Ok(comparison.outcome as u8)
    }

    /// Writes and prints the answer, and returns the exit code.
    pub fn answer(&self, comparison: &Comparison) -> Result<u8> {
        if let Some(out) = &self.out {
            output::write(comparison, out)?;
        }
        let text = output::render(comparison, self.format)?;
        match self.format {
            Format::Github => print_commands(&text)?,
            _ => print(&text)?,
        }
        Ok(comparison.outcome as u8)
    }
}
