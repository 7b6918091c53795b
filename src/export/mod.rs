//! Runs in forms that other programs read: a table for pandas and R, and JSON that says what to do.
//!
//! ```text
//! run folders -> Source -> csv, latency_table          a row per point
//!                  |
//!                  +-----> Curve -> sdpa_table, padding_plan, contract
//! ```
//!
//! A format is a file with a function of sources, and a line in the two lists here.

mod contract;
mod csv;
mod curves;
mod head;
mod latency_table;
mod padding_plan;
mod saving;
mod sdpa_table;
mod shape;
pub mod source;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use head::Head;
use serde::{Deserialize, Serialize};
use source::Source;
use std::collections::HashSet;

/// A form of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A row per point and per variant, for pandas, R and spreadsheets.
    Csv,
    /// JSON: the backend and the padding to take, by attention and head_dim.
    SdpaTable,
    /// JSON: what to pad to, by GEMM and dimension.
    PaddingPlan,
    /// JSON: minimal alignment, recommended and cliff values of each axis.
    Contract,
    /// JSON: the latency of each operation and shape, for solvers that prune.
    LatencyTable,
}

/// The runs in this form, with a newline at the end.
///
/// # Errors
/// If a run is given twice or, for JSON, if the runs are not of one device and one set of libraries
/// or have nothing that the format is about.
pub fn render(sources: &[Source], format: Format) -> Result<String> {
    let mut seen = HashSet::new();
    for Source { raw, .. } in sources {
        let run_id = &raw.metadata.run_id;
        ensure!(seen.insert(run_id), "{run_id} is given twice");
    }
    match format {
        Format::Csv => csv::of(sources),
        Format::SdpaTable => document(sources, format, sdpa_table::of(sources)?),
        Format::PaddingPlan => document(sources, format, padding_plan::of(sources)?),
        Format::Contract => document(sources, format, contract::of(sources)?),
        Format::LatencyTable => document(sources, format, latency_table::of(sources)?),
    }
}

/// Whether a file is one that this wrote, in this form.
pub fn is_ours(bytes: &[u8], format: Format) -> bool {
    #[derive(Deserialize)]
    struct Written {
        format: String,
        #[serde(rename = "night_sweep")]
        _night_sweep: String,
    }
    match format {
        Format::Csv => csv::header().is_ok_and(|header| bytes.starts_with(header.as_bytes())),
        _ => serde_json::from_slice(bytes)
            .is_ok_and(|Written { format: found, .. }| found == format.name()),
    }
}

fn document<T: Serialize>(sources: &[Source], format: Format, entries: Vec<T>) -> Result<String> {
    #[derive(Serialize)]
    struct Document<T> {
        #[serde(flatten)]
        head: Head,
        entries: Vec<T>,
    }
    let head = Head::of(sources, format.name())?;
    Ok(serde_json::to_string_pretty(&Document { head, entries })? + "\n")
}

impl Format {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
