use crate::advise::dims_file::{self, DimsFile};
use crate::advise::input::{self, Item};
use crate::advise::output::{self, Format};
use crate::advise::times::Operation;
use crate::advise::{Request, advise};
use crate::results::read;
use crate::terminal::{print, say};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};

/// Say which measured dimension to use in place of each of yours, and why.
#[derive(Args)]
pub struct AdviseArgs {
    /// Run folders, or their raw.json, compressed or not; of one device.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Dimensions, like 107,113,121.
    #[arg(long, required_unless_present = "dims_file")]
    dims: Option<String>,
    /// The dimensions of a model: a JSON or CSV list of them, or of name, dim and importance (1 if
    /// absent: with --budget, making a dimension 1 % smaller then weighs as much as 1 % of its
    /// time); or ranks and widths by module, as PaLU, ASVD, SVD-LLM, LLM-Pruner and Puzzletron
    /// write them.
    #[arg(long, conflicts_with = "dims")]
    dims_file: Option<PathBuf>,
    /// How much larger a dimension may become.
    #[arg(long, default_value = "10%")]
    max_overhead: String,
    /// What has the dimension; by the first run if absent.
    #[arg(long)]
    op: Option<Operation>,
    /// A curve of the runs; the first if absent.
    #[arg(long)]
    curve: Option<String>,
    /// What all dimensions may add up to: choose them together, for the least time; none more than
    /// 10 % smaller.
    #[arg(long)]
    budget: Option<usize>,
    /// How to print it.
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: &AdviseArgs) -> Result<u8> {
    let request = Request {
        operation: arguments.op,
        curve: arguments.curve.clone(),
        items: items(arguments.dims.as_deref(), arguments.dims_file.as_deref())?,
        max_overhead: input::percentage(&arguments.max_overhead).context("--max-overhead")?,
        budget: arguments.budget,
    };
    let runs: Vec<_> = arguments.runs.iter().map(|run| read::raw(run)).collect::<Result<_>>()?;
    print(&output::render(&advise(&runs, &request)?, arguments.format)?)?;
    Ok(0)
}

/// The dimensions of `--dims` or of the file of `--dims-file`.
fn items(dims: Option<&str>, file: Option<&Path>) -> Result<Vec<Item>> {
    match (dims, file) {
        (Some(dims), _) => input::dims(dims).context("--dims"),
        (None, Some(file)) => {
            let (_, read) = dims_file::load(file)?;
            say_left_out(file, &read);
            Ok(read.items)
        }
        (None, None) => bail!("give --dims or --dims-file"),
    }
}

/// Says which columns, keys and rows of a file of dimensions were not read.
pub fn say_left_out(path: &Path, file: &DimsFile) {
    if !file.left_out.is_empty() {
        let left_out: Vec<&str> = file.left_out.iter().map(String::as_str).collect();
        let (path, left_out) = (path.display(), left_out.join(", "));
        say(&format!("night-sweep: {path}: not read: {left_out}"));
    }
}
