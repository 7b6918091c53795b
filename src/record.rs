//! What is on disk of a run before it is a report: the journal, one JSON line per event.
//!
//! The first line is the [`Header`]; each case timed in a round adds a [`Visit`], each case that cannot be
//! timed a [`Failure`]; [`End`] closes the run. A run that was killed has no `End` and is reported as partial.

use crate::case::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the journal and of the four files of a run folder. A reader refuses another major version.
pub const SCHEMA_VERSION: &str = "1.0";

/// The version of Criterion that drives the measurement, as pinned in Cargo.toml.
pub const CRITERION_VERSION: &str = "0.8.2";

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// What is to be run; always the first line.
    Header(Box<Header>),
    /// A case was timed in a round.
    Visit(Visit),
    /// A case cannot be timed; later rounds leave it out.
    Failure(Failure),
    /// Nothing follows.
    End(End),
}

/// What a run is, before anything is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: String,
    /// `YYYYMMDD_HHMMSS_<experiment>`, or the name the user chose.
    pub run_id: String,
    /// Short name of the experiment: S1, S2, G3, G4, P1, HET1.
    pub group: String,
    /// Name of the spec entry.
    pub experiment: String,
    /// The spec entry as run, defaults filled in.
    pub config: Value,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    /// Launches and rounds.
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The machine, for env.json.
    pub env: Value,
    /// What event timing costs on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Every case of the run, in the order of the spec.
    pub cases: Vec<Case>,
}

/// How often each case is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Launches before the first sample of each round, at least.
    pub warmup: usize,
    /// Timed launches in each round, at least.
    pub measure: usize,
    /// Rounds: in each, every case once, in a random order.
    pub trials: usize,
}

/// What event timing costs on this device; never subtracted from a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Smallest step between two different event times, in nanoseconds.
    pub event_tick_ns: f64,
    /// Median time between two events with nothing between them, in nanoseconds.
    pub empty_pair_ns: f64,
    /// SM clock after burn-in, in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_sm_mhz: Option<u32>,
}

/// The samples of one case in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// [`Case::id`].
    pub case_id: String,
    /// Round, from 0.
    pub round: usize,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds of the visit: plan, data, verification, warm-up and samples.
    pub wall_s: f64,
    /// Milliseconds per launch, in the order measured.
    pub samples_ms: Vec<f64>,
    /// Launches that each sample averages over (1 for a long operation).
    pub launches_per_sample: usize,
    /// Launches before the first sample.
    pub warmup_launches: usize,
    /// What ran.
    pub ran: Ran,
    /// The state of the card right after the last sample; absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
}

/// What ran, and how it was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The kernels of one launch, in launch order; empty on the CPU.
    pub kernels: Vec<Kernel>,
    /// The attention backend that ran; absent for products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_selected: Option<String>,
    /// Why that backend, where it was chosen rather than forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_reason: Option<String>,
    /// The check against the reference, made before the first sample.
    pub verification: Verification,
}

/// A kernel of the captured graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Its name, demangled, without its parameters.
    pub name: String,
    /// Thread blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block, in bytes.
    pub smem_bytes: u32,
}

/// How far the result lies from a float32 reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Largest `‖row − reference‖ / ‖reference‖` over the sampled rows.
    pub max_rel_error: f64,
    /// What is accepted for this element type.
    pub tolerance: f64,
    /// Rows compared.
    pub rows: usize,
}

/// The state of the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// SM clock in MHz.
    pub sm_mhz: u32,
    /// Board power in watts.
    pub power_w: u32,
    /// GPU temperature in degrees Celsius.
    pub temperature_c: u32,
    /// Active clock event reasons by NVML's names; empty when nothing slows the card.
    pub throttle: Vec<String>,
}

/// A case that cannot be timed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Case::id`].
    pub case_id: String,
    /// The round in which it failed.
    pub round: usize,
    /// What kind of failure.
    pub error_kind: ErrorKind,
    /// What happened, for a person.
    pub error: String,
}

/// Why a case has no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The backend does not support the shape on this device.
    Unsupported,
    /// The device has too little memory.
    OutOfMemory,
    /// The result differs from the reference, or another backend's kernel ran.
    WrongResult,
    /// The driver or a library reported an error.
    Cuda,
    /// The run ended before this case had all its rounds.
    Skipped,
}

impl ErrorKind {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::OutOfMemory => "out_of_memory",
            ErrorKind::WrongResult => "wrong_result",
            ErrorKind::Cuda => "cuda",
            ErrorKind::Skipped => "skipped",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Complete, or ended early.
    pub status: Status,
    /// Wall-clock seconds from the header to here, resumed parts added up.
    pub wall_s: f64,
}

/// Whether a run has everything its spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every case has all its rounds, or an error.
    Complete,
    /// Some are missing.
    Partial,
}
