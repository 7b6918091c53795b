//! What each JSON says first: what it is, and which runs on which machine it comes from.

use super::source::Source;
use crate::journal::record::{SCHEMA_VERSION, Status};
use crate::workload::ErrorKind;
use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use serde::Serialize;

#[derive(Serialize)]
pub struct Head {
    schema_version: &'static str,
    format: String,
    night_sweep: &'static str,
    runs: Vec<Run>,
    device: Device,
    /// Versions by name; null where a library was not loaded.
    libraries: IndexMap<String, Option<String>>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Run {
    run_id: String,
    experiment: String,
    group: String,
    started_at: String,
    status: Status,
}

#[derive(Serialize)]
struct Device {
    name: String,
    compute_capability: Option<String>,
    driver_version: Option<String>,
}

/// A point that has no time.
#[derive(Serialize)]
struct Failed {
    run_id: String,
    case_id: String,
    error_kind: ErrorKind,
    error: String,
}

impl Head {
    /// # Errors
    /// If the runs differ in their device or in the versions of their libraries, or a run does not
    /// say them.
    pub fn of(sources: &[Source], format: String) -> Result<Head> {
        let mut known: IndexMap<String, (String, &str)> = IndexMap::new();
        let mut libraries: IndexMap<String, Option<String>> = IndexMap::new();
        for source in sources {
            let (metadata, env) = (&source.raw.metadata, source.env()?);
            let run_id = &*metadata.run_id;
            let device = metadata.device_name.as_ref().unwrap_or(&metadata.device);
            same(&mut known, "device", Some(device), run_id)?;
            let gpu = env.gpu.as_ref();
            let capability = gpu.map(|gpu| &gpu.compute_capability);
            same(&mut known, "compute capability", capability, run_id)?;
            let driver = gpu.and_then(|gpu| gpu.driver_version.as_ref());
            same(&mut known, "driver", driver, run_id)?;
            for (name, version) in &env.libraries {
                same(&mut known, name, version.as_ref(), run_id)?;
                let merged = libraries.entry(name.clone()).or_default();
                *merged = merged.take().or_else(|| version.clone());
            }
        }
        let mut take = |what: &str| known.swap_remove(what).map(|(value, _)| value);
        let device = Device {
            name: take("device").context("a run to export")?,
            compute_capability: take("compute capability"),
            driver_version: take("driver"),
        };
        Ok(Head {
            schema_version: SCHEMA_VERSION,
            format,
            night_sweep: env!("CARGO_PKG_VERSION"),
            runs: sources.iter().map(run).collect(),
            device,
            libraries,
            failed: sources.iter().flat_map(failed).collect(),
        })
    }
}

/// Notes what a run says of something; refuses what differs from what another one says.
fn same<'a>(
    known: &mut IndexMap<String, (String, &'a str)>,
    what: &str,
    value: Option<&String>,
    run_id: &'a str,
) -> Result<()> {
    // A library that a run did not load is none that it differs in.
    let Some(value) = value else { return Ok(()) };
    let (other, of) = known.entry(what.to_owned()).or_insert_with(|| (value.clone(), run_id));
    ensure!(
        other == value,
        "{of} has the {what} {other}, {run_id} has {value}: export the runs of one device and one \
         set of libraries"
    );
    Ok(())
}

fn run(source: &Source) -> Run {
    let metadata = &source.raw.metadata;
    Run {
        run_id: metadata.run_id.clone(),
        experiment: metadata.experiment_name.clone(),
        group: metadata.group.clone(),
        started_at: metadata.started_at.clone(),
        status: metadata.status,
    }
}

fn failed(source: &Source) -> impl Iterator<Item = Failed> {
    source.raw.failed().map(|row| Failed {
        run_id: source.raw.metadata.run_id.clone(),
        case_id: row.point.case_id.clone(),
        error_kind: row.error_kind,
        error: row.error.clone(),
    })
}
