//! raw.json: every sample of a run, a row per point. A superset of what the published suite writes,
//! so that its readers work on it unchanged.

use crate::device::clocks::Clocks;
use crate::device::kernel::{Algorithm, Kernel};
use crate::device::torch::Versions;
use crate::journal::record::Status;
use crate::measure::record::Protocol;
use crate::ops::plan::Verification;
use crate::stats::Timing;
use crate::workload::ErrorKind;
use crate::workload::Precision;
use crate::workload::provider::Provider;
use crate::workload::shape::{GemmShape, LowRankShape, SdpaShape};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Raw {
    pub schema_version: String,
    pub experiment: String,
    pub config: Value,
    pub metadata: Metadata,
    pub measurements: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metadata {
    pub run_id: String,
    /// Name of the spec entry, again: the published readers look here.
    pub experiment_name: String,
    /// Of the experiment's type: first part of the ids of its cases.
    pub group: String,
    pub device: String,
    /// The GPU's name, or the processor's on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    pub status: Status,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds; of the trials alone where the run was killed.
    pub wall_s: f64,
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    pub night_sweep: String,
    pub criterion: String,
}

/// A point: measured, or an error. A reader tells them apart by the key `error`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Row {
    Measured(Box<Measured>),
    Failed(Box<Failed>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// `group/series/point`: Criterion's id.
    pub case_id: String,
    pub series: String,
    pub curve: String,
    pub dim: usize,
    #[serde(flatten)]
    pub labels: Map<String, Value>,
    pub shape: Shape,
    pub dtype: Precision,
}

/// A shape as the backend sees it, padding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    /// A GEMM, or several of one M and K with the sum of their N.
    Gemm(GemmShape),
    LowRank(LowRankShape),
    Layer {
        operations: usize,
    },
    Sdpa(SdpaShape),
}

/// A point with a time. Times are milliseconds per launch, the samples of all trials together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    #[serde(flatten)]
    pub point: Point,
    pub trials: usize,
    pub total_measurements: usize,
    /// Launches that each sample averages over, in the last trial.
    pub launches_per_sample: usize,
    pub timing: Timing,
    /// Mean of the GEMMs run one after the other, in ms; only where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_latency_ms: Option<f64>,
    /// Single launches that the host enqueued well before, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<Timing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold: Option<Cold>,
    /// Single launches on an idle GPU, with the host in them: the published way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_call: Option<PerCall>,
    /// By the card's counter; absent where that was not asked for, and on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<Energy>,
    /// The samples in the order measured, trial by trial, in ms.
    pub timing_raw: Vec<f64>,
    pub trial_p50: Vec<f64>,
    /// Mean SM clock while the samples of each trial were taken, in MHz; absent on the CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trial_sm_mhz: Vec<f64>,
    /// SM cycles of a launch: median of the samples, each times the clock counted in its trial;
    /// absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_p50: Option<f64>,
    /// The same of the median of each trial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trial_cycles: Vec<f64>,
    /// Holds the median of another run on this device 19 times in 20, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci95_p50: Option<[f64; 2]>,
    /// Correlation of a sample with the next one of its trial; absent where there is none, as of
    /// equal samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autocorrelation_lag1: Option<f64>,
    /// How far the largest median of a trial lies above the smallest, in per cent; absent for a
    /// single trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_spread_pct: Option<f64>,
    /// Criterion's own estimates from the same samples; absent if its files are of another run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criterion: Option<CriterionEstimates>,
    pub provider: Provider,
    /// Whose versions it ran, where it is PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pytorch: Option<Versions>,
    pub kernels: Vec<Kernel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_selected: Option<String>,
    /// Why that backend: asked for by name, in whose place, or the grounds of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_reason: Option<String>,
    /// Whether it ran in place of PyTorch's, under whose name it was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    /// The head_dim that Q, K and V are padded to within the launch, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padded_to: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    pub verification: Verification,
    /// The card in the last trial; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// What makes the time doubtful, see [`super::build`].
    pub flags: Vec<String>,
    pub derived: Derived,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cold {
    Measured(ColdTiming),
    NotApplicable { not_applicable: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdTiming {
    #[serde(flatten)]
    pub timing: Timing,
    /// Sets of operands that the launches rotate over.
    pub buffer_sets: usize,
}

/// Launches as a program makes them that does nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerCall {
    /// Median time that the host needs to enqueue a launch, in microseconds.
    pub enqueue_us: f64,
    /// Between two events around each, in ms.
    #[serde(flatten)]
    pub timing: Timing,
}

/// Of a launch among others, on a GPU that never idles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    pub joules_per_launch: f64,
    /// How far off that may be, in per cent.
    pub uncertainty_pct: f64,
    pub mean_watts: f64,
    /// Mean of NVML's power readings meanwhile; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polled_watts: Option<f64>,
    /// Useful work, as in [`Derived`].
    pub tflop_per_joule: f64,
    pub seconds: f64,
    pub launches: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    #[serde(flatten)]
    pub point: Point,
    pub error: String,
    pub error_kind: ErrorKind,
    pub backend_unsupported: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variant {
    Measured { timing: Timing, kernels: Vec<Kernel>, derived: Derived },
    Failed { error: String, error_kind: ErrorKind },
}

/// Rates by useful work: padding counts as bytes but not as operations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    pub tflops_mean: f64,
    pub tflops_stats: Timing,
    pub bandwidth_gbs_mean: f64,
    pub arithmetic_intensity: f64,
    /// How near the median comes to what the device was measured to do; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_peak: Option<Share>,
    /// `tflops_mean` by the name that the published suite has for several GEMMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_tflops: Option<f64>,
}

/// Shares of the measured peaks, 1 being all of it. Warm operands come from the L2 cache, which is
/// faster than the memory of the peak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub compute: f64,
    pub bandwidth: f64,
    pub bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Compute,
    Bandwidth,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionEstimates {
    pub mean_ms: f64,
    /// Its bootstrapped 95 % confidence interval, in ms; absent if Criterion was told another
    /// level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_ci95_ms: Option<[f64; 2]>,
    pub median_ms: f64,
    pub std_dev_ms: f64,
}

/// `FLASH (stand-in)`: a name under which stand-ins ran, as a table or a legend has it.
pub fn marked(name: &str, is_stand_in: bool) -> String {
    if is_stand_in { format!("{name} (stand-in)") } else { name.to_owned() }
}

pub type CurveKey<'a> = (&'a str, &'a str);

impl Raw {
    pub fn curves(&self) -> Vec<(CurveKey<'_>, Vec<&Row>)> {
        let mut curves: IndexMap<CurveKey, Vec<&Row>> = IndexMap::new();
        for row in &self.measurements {
            let Point { series, curve, .. } = row.point();
            curves.entry((series, curve)).or_default().push(row);
        }
        curves.into_iter().collect()
    }

    /// The backends that were asked for, and at each dimension their rows in the same order.
    pub fn by_backend(&self) -> (IndexSet<&str>, BTreeMap<usize, Vec<Option<&Row>>>) {
        let backends: IndexSet<&str> = self.measurements.iter().map(Row::backend).collect();
        let mut by_dim: BTreeMap<usize, Vec<Option<&Row>>> = BTreeMap::new();
        for row in &self.measurements {
            let cells = by_dim.entry(row.point().dim).or_insert_with(|| vec![None; backends.len()]);
            if let Some(at) = backends.get_index_of(row.backend()) {
                cells[at].get_or_insert(row);
            }
        }
        (backends, by_dim)
    }

    /// The published names under which stand-ins ran, in the order of the spec.
    pub fn stand_ins(&self) -> IndexSet<&str> {
        self.measurements.iter().filter(|row| row.is_stand_in()).map(Row::backend).collect()
    }

    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.measurements.iter().filter_map(Row::measured)
    }

    pub fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.measurements.iter().filter_map(|row| match row {
            Row::Measured(_) => None,
            Row::Failed(row) => Some(&**row),
        })
    }
}

impl Measured {
    pub fn flops(&self) -> f64 {
        self.derived.tflops_mean * 1e12 * (self.timing.mean * 1e-3)
    }
}

impl Variant {
    /// Its median in ms, or what kind of failure there is instead.
    pub(crate) fn p50(&self) -> Result<f64, ErrorKind> {
        match self {
            Variant::Measured { timing, .. } => Ok(timing.p50),
            Variant::Failed { error_kind, .. } => Err(*error_kind),
        }
    }
}

impl Row {
    /// Its median in ms, or what kind of failure there is instead.
    pub(crate) fn p50(&self) -> Result<f64, ErrorKind> {
        match self {
            Row::Measured(row) => Ok(row.timing.p50),
            Row::Failed(row) => Err(row.error_kind),
        }
    }

    pub fn measured(&self) -> Option<&Measured> {
        match self {
            Row::Measured(row) => Some(row),
            Row::Failed(_) => None,
        }
    }

    pub(crate) fn measured_mut(&mut self) -> Option<&mut Measured> {
        match self {
            Row::Measured(row) => Some(row),
            Row::Failed(_) => None,
        }
    }

    pub fn backend(&self) -> &str {
        let point = self.point();
        point.text("backend").unwrap_or(&point.curve)
    }

    /// Whether it was asked for by a name of PyTorch's, and a backend of ours ran in its place.
    pub fn is_stand_in(&self) -> bool {
        self.measured().is_some_and(|row| row.stand_in)
    }

    /// The backend that ran, or else the one it was asked for.
    pub fn backend_that_ran(&self) -> &str {
        let ran = self.measured().and_then(|row| row.backend_selected.as_deref());
        ran.unwrap_or_else(|| self.backend())
    }

    pub fn point(&self) -> &Point {
        match self {
            Row::Measured(row) => &row.point,
            Row::Failed(row) => &row.point,
        }
    }

    pub fn variants(&self) -> &BTreeMap<String, Variant> {
        match self {
            Row::Measured(row) => &row.variants,
            Row::Failed(row) => &row.variants,
        }
    }
}

impl Point {
    pub fn text(&self, label: &str) -> Option<&str> {
        self.labels.get(label)?.as_str()
    }

    pub fn number(&self, label: &str) -> Option<f64> {
        self.labels.get(label)?.as_f64()
    }
}

impl Metadata {
    /// The device as a title names it: `cuda:0 NVIDIA H200`, or `device: cpu (AMD EPYC)`.
    pub fn device_title(&self) -> String {
        match (&*self.device, &self.device_name) {
            ("cpu", Some(name)) => format!("device: cpu ({name})"),
            ("cpu", None) => "device: cpu".to_owned(),
            (device, Some(name)) => format!("{device} {name}"),
            (device, None) => device.to_owned(),
        }
    }
}
