//! What is on disk of a run before it is a report: the journal, one JSON line per event. A run that
//! was killed has no [`End`]; one that is resumed has a [`Start`] for each process after the first.

use crate::measure::record::{Calibration, Energy, Protocol, Secondary, Trial};
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the journal and of the four files of a run folder. A reader refuses another major
/// version.
pub const SCHEMA_VERSION: &str = "2.0";

/// The version of Criterion that drives the measurement, as pinned in Cargo.toml.
pub const CRITERION_VERSION: &str = "0.8.2";

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// What is to be run; always the first line.
    Header(Box<Header>),
    /// A case was timed in a trial.
    Trial(Box<Trial>),
    /// A case was timed in other ways as well.
    Secondary(Box<Secondary>),
    /// The energy of a case was measured.
    Energy(Box<Energy>),
    /// A case cannot be timed; later trials leave it out.
    Failure(Failure),
    /// Another process goes on with the run.
    Start(Start),
    /// Nothing follows, unless the run is resumed.
    End(End),
}

/// What a run is, before anything is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: String,
    /// `YYYYMMDD_HHMMSS_<experiment>`, or the name the user chose.
    pub run_id: String,
    /// Of the type of the experiment: first part of the ids of its cases.
    pub group: String,
    /// Name of the spec entry.
    pub experiment: String,
    /// The spec entry as run, defaults filled in.
    pub config: Value,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    /// Launches and trials.
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The ids of all cases of the sweep, where this is one shard of it; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The machine, for env.json.
    pub env: Value,
    /// What event timing costs on this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Every case of the run, in the order of the spec.
    pub cases: Vec<Case>,
}

impl Header {
    /// Where it runs, for people: the name of the GPU, or of the host's processor.
    pub fn device_name(&self) -> String {
        let name = self.env["gpu"]["name"].as_str().or(self.env["host"]["cpu"].as_str());
        name.unwrap_or("unknown").trim().to_owned()
    }
}

/// A process that works on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Where.
    pub hostname: Option<String>,
    /// Slurm's variables of the job, SLURM_RESTART_COUNT among them; null outside of one.
    pub slurm: Value,
}

impl Start {
    /// The start that a header stands for.
    pub fn of(header: &Header) -> Start {
        Start {
            started_at: header.started_at.clone(),
            device: header.device.clone(),
            hostname: header.env["host"]["hostname"].as_str().map(str::to_owned),
            slurm: header.env["slurm"].clone(),
        }
    }
}

/// A case that cannot be timed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Case::id`].
    pub case_id: String,
    /// The trial in which it failed.
    pub trial: usize,
    /// What kind of failure.
    pub error_kind: ErrorKind,
    /// What happened, for a person.
    pub error: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Complete, or ended early.
    pub status: Status,
    /// Wall-clock seconds from the header to here, resumed parts added up.
    pub wall_s: f64,
    /// Those of them that Criterion took, where it got samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criterion_s: Option<f64>,
}

/// Whether a run has everything its spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every case has all its trials, or an error.
    Complete,
    /// Some are missing.
    Partial,
}
