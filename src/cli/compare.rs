use super::comparison::{Output, WHICH};
use crate::advise::input::percentage;
use crate::compare::reference::{self, published};
use crate::compare::side::{criterion, runs};
use crate::compare::stored::{self, Allowed};
use crate::journal::home::criterion_home;
use crate::terminal::text::shell;
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::path::{Path, PathBuf};

/// Say which cases of one run, or of one of Criterion's baselines, are slower in another; or
/// whether a card is slower than others of its model.
#[derive(Args)]
#[command(after_help = format!("{REFERENCE}\n{WHICH}"))]
pub struct CompareArgs {
    /// A run folder, or a folder of several runs; with --criterion the name of a baseline; with
    /// --reference what is judged.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    base: String,
    /// The same for what is judged; with --criterion `new` is the newest run.
    #[arg(
        value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "reference"
    )]
    cand: Option<String>,
    /// Judge the card that BASE was measured on by runs of another card of its model: RUNS, a
    /// folder; without a value the published night of that model.
    #[arg(
        long,
        value_name = "RUNS",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with_all = ["criterion", "threshold", "allow_mismatch", "allow_missing"]
    )]
    reference: Option<Option<PathBuf>>,
    /// Compare two of Criterion's baselines, as `cargo bench -- --save-baseline NAME` makes them.
    #[arg(long)]
    criterion: bool,
    /// The least slowdown that fails the comparison; 5% is the least allowed.
    #[arg(long, default_value = "5%")]
    threshold: String,
    /// Compare also what was measured on different GPU models, drivers, protocols or schemas.
    #[arg(long)]
    allow_mismatch: bool,
    /// Where --reference looks first for published nights: in `published/<gpu>/<group>/<run id>`
    /// below it.
    #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
    results_root: PathBuf,
    #[command(flatten)]
    output: Output,
}

const REFERENCE: &str = "\
--reference: your card against others of its model
  compare RUN --reference          by the published night of its GPU model
  compare RUN --reference=RUNS     by a run folder or a folder of several, of any card of its model
Cases that ran the same kernels on both are compared in classes (compute-bound GEMM, ...). A class
is slower if time and SM cycles are both above what cards of a model differ by, or if its clock is
lower than that: exit code 1. Formats: table, json and markdown; --out writes reference.json and
reference.md.
";

pub fn run(arguments: &CompareArgs) -> Result<u8> {
    match (&arguments.reference, &arguments.cand) {
        (Some(_), Some(cand)) => bail!(
            "with --reference one run or folder is judged; what it is judged by stands behind `=`: \
             --reference={}",
            shell(Path::new(cand))
        ),
        (Some(named), _) => against_reference(arguments, named.as_deref()),
        (None, cand) => against_base(arguments, cand.as_deref().unwrap_or_default()),
    }
}

fn against_base(arguments: &CompareArgs, cand: &str) -> Result<u8> {
    let base = &arguments.base;
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

fn against_reference(arguments: &CompareArgs, named: Option<&Path>) -> Result<u8> {
    arguments.output.ensure_of_card()?;
    let judged = Path::new(&arguments.base);
    let reference = named.map(|named| ("the reference", named));
    let sides: Vec<_> = [("the run", judged)].into_iter().chain(reference).collect();
    arguments.output.ensure_replaceable(&[], &sides)?;
    let (model, card) = published::read_judged(judged)?;
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("target-reports");
    let places = [&arguments.results_root, &checkout].map(|reports| reports.join("published"));
    let reference = match named {
        Some(named) => published::read_named(named, &model)?,
        None => published::read_published(&places, &model)?,
    };
    arguments.output.answer_of_card(&reference::compare(&model, &card, &reference))
}
