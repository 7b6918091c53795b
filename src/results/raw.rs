//! raw.json: every sample of a run, a row per point. A superset of what the published suite writes,
//! so that its readers work on it unchanged.

use crate::device::clocks::Clocks;
use crate::device::kernel::{Algorithm, Kernel};
use crate::journal::record::Status;
use crate::measure::record::Protocol;
use crate::ops::error::ErrorKind;
use crate::ops::plan::Verification;
use crate::stats::Timing;
use crate::workload::provider::Provider;
use crate::workload::shape::{DType, GemmShape, SdpaShape};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// [`crate::journal::record::SCHEMA_VERSION`].
    pub schema_version: String,
    /// Name of the spec entry.
    pub experiment: String,
    /// The spec entry as run.
    pub config: Value,
    /// What was run where and when.
    pub metadata: Metadata,
    /// A row per point, in the order of the spec.
    pub measurements: Vec<Row>,
}

/// What was run where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Name of the run's folder.
    pub run_id: String,
    /// Name of the spec entry, again: the published readers look here.
    pub experiment_name: String,
    /// Of the experiment's type: first part of the ids of its cases.
    pub group: String,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// The GPU's name, or the processor's on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    /// Whether every row has all its trials, or an error.
    pub status: Status,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds; of the trials alone where the run was killed.
    pub wall_s: f64,
    /// Launches and trials asked for.
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Version of this suite.
    pub night_sweep: String,
    /// Version of Criterion.
    pub criterion: String,
}

/// A point: measured, or an error. A reader tells them apart by the key `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Row {
    /// It has a time.
    Measured(Box<Measured>),
    /// It has none.
    Failed(Box<Failed>),
}

/// What a point is, whether or not it could be timed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// `group/series/point`: Criterion's id.
    pub case_id: String,
    /// The middle part of the id.
    pub series: String,
    /// The curve this point lies on, as a legend names it.
    pub curve: String,
    /// The swept dimension here.
    pub dim: usize,
    /// The experiment's own columns.
    #[serde(flatten)]
    pub labels: Map<String, Value>,
    /// What is computed.
    pub shape: Shape,
    /// Element type of every operand.
    pub dtype: DType,
}

/// A shape as the backend sees it, padding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    /// A GEMM, or several of one M and K with the sum of their N.
    Gemm(GemmShape),
    /// An attention.
    Sdpa(SdpaShape),
}

/// A point with a time. Times are milliseconds per launch, the samples of all trials together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What it is.
    #[serde(flatten)]
    pub point: Point,
    /// Trials with samples.
    pub trials: usize,
    /// Samples.
    pub total_measurements: usize,
    /// Launches that each sample averages over, in the last trial.
    pub launches_per_sample: usize,
    /// Over the samples, in ms.
    pub timing: Timing,
    /// Mean of the GEMMs run one after the other, in ms; only where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_latency_ms: Option<f64>,
    /// Single launches that the host enqueued well before, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated: Option<Timing>,
    /// The same launches with cold caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<Cold>,
    /// Single launches on an idle GPU, with the host in them: the published way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_call: Option<PerCall>,
    /// The samples in the order measured, trial by trial, in ms.
    pub timing_raw: Vec<f64>,
    /// Median of each trial, in ms.
    pub trial_p50: Vec<f64>,
    /// Mean SM clock while the samples of each trial were taken, in MHz; absent on the CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trial_sm_mhz: Vec<f64>,
    /// 95 % confidence interval of the median, in ms; absent below 6 samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95_p50: Option<[f64; 2]>,
    /// Correlation of a sample with the next one of its trial; absent where there is none, as of
    /// equal samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocorrelation_lag1: Option<f64>,
    /// How far the largest median of a trial lies above the smallest, in per cent; absent for a
    /// single trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_spread_pct: Option<f64>,
    /// Criterion's own estimates from the same samples; absent if its files are of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<CriterionEstimates>,
    /// Whose implementation ran.
    pub provider: Provider,
    /// The kernels of one launch; empty on the CPU.
    pub kernels: Vec<Kernel>,
    /// The attention backend that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_selected: Option<String>,
    /// Why that backend: asked for by name, or the grounds of AUTO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_reason: Option<String>,
    /// The algorithm that the library chose for a GEMM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The check against the reference.
    pub verification: Verification,
    /// The card in the last trial; absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// What makes the time doubtful, see [`super::build`].
    pub flags: Vec<String>,
    /// Rates that follow from the times.
    pub derived: Derived,
    /// Other ways to compute the same, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
}

/// Times with cold caches, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cold {
    /// It has times.
    Measured(ColdTiming),
    /// It has none.
    NotApplicable {
        /// Why.
        not_applicable: String,
    },
}

/// Times with cold caches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColdTiming {
    /// Over the samples, in ms per launch.
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

/// A point without a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What it is.
    #[serde(flatten)]
    pub point: Point,
    /// What happened, for a person.
    pub error: String,
    /// What kind of failure.
    pub error_kind: ErrorKind,
    /// The backend does not support the shape on this device.
    pub backend_unsupported: bool,
    /// Other ways to compute the same, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
}

/// Another way to compute a row: timed, or an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variant {
    /// It has a time.
    Measured {
        /// Over the samples of all trials, in ms.
        timing: Timing,
        /// The kernels of one launch; empty on the CPU.
        kernels: Vec<Kernel>,
        /// Rates that follow from the times.
        derived: Derived,
    },
    /// It has none.
    Failed {
        /// What happened, for a person.
        error: String,
        /// What kind of failure.
        error_kind: ErrorKind,
    },
}

/// Rates by useful work: padding counts as bytes but not as operations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// At the mean time, in TFLOP/s.
    pub tflops_mean: f64,
    /// Over the rates of the samples, in TFLOP/s.
    pub tflops_stats: Timing,
    /// Least bytes moved over the mean time, in GB/s.
    pub bandwidth_gbs_mean: f64,
    /// Operations per byte.
    pub arithmetic_intensity: f64,
    /// How near the median comes to what the device was measured to do; absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_peak: Option<Share>,
    /// `tflops_mean` by the name that the published suite has for several GEMMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_tflops: Option<f64>,
}

/// Shares of the measured peaks, 1 being all of it. Warm operands come from the L2 cache, which is
/// faster than the memory of the peak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Of the rate of a large GEMM.
    pub compute: f64,
    /// Of the bandwidth of a large copy.
    pub bandwidth: f64,
    /// Which would take longer at its peak.
    pub bound: Bound,
}

/// What bounds a launch at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Arithmetic.
    Compute,
    /// Moving its operands.
    Bandwidth,
}

/// Criterion's own estimates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionEstimates {
    /// Mean, in ms.
    pub mean_ms: f64,
    /// Its bootstrapped 95 % confidence interval, in ms; absent if Criterion was told another
    /// level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_ci95_ms: Option<[f64; 2]>,
    /// Median, in ms.
    pub median_ms: f64,
    /// Standard deviation of Criterion's samples, in ms.
    pub std_dev_ms: f64,
}

/// The series and legend of a curve.
pub type CurveKey<'a> = (&'a str, &'a str);

impl Raw {
    /// The rows of each curve, in the order of the spec.
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

    /// The rows with a time.
    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.measurements.iter().filter_map(|row| match row {
            Row::Measured(row) => Some(&**row),
            Row::Failed(_) => None,
        })
    }

    /// The rows without one.
    pub fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.measurements.iter().filter_map(|row| match row {
            Row::Measured(_) => None,
            Row::Failed(row) => Some(&**row),
        })
    }
}

impl Measured {
    /// Useful operations of one launch.
    pub fn flops(&self) -> f64 {
        self.derived.tflops_mean * 1e12 * (self.timing.mean * 1e-3)
    }
}

impl Row {
    /// The row, if it has a time.
    pub fn measured(&self) -> Option<&Measured> {
        match self {
            Row::Measured(row) => Some(row),
            Row::Failed(_) => None,
        }
    }

    /// The backend it was asked for.
    pub fn backend(&self) -> &str {
        let point = self.point();
        point.text("backend").unwrap_or(&point.curve)
    }

    /// The backend that ran, or else the one it was asked for.
    pub fn backend_that_ran(&self) -> &str {
        let ran = self.measured().and_then(|row| row.backend_selected.as_deref());
        ran.unwrap_or_else(|| self.backend())
    }

    /// What it is.
    pub fn point(&self) -> &Point {
        match self {
            Row::Measured(row) => &row.point,
            Row::Failed(row) => &row.point,
        }
    }

    /// Other ways to compute the same.
    pub fn variants(&self) -> &BTreeMap<String, Variant> {
        match self {
            Row::Measured(row) => &row.variants,
            Row::Failed(row) => &row.variants,
        }
    }
}

impl Point {
    /// A label as text; none if there is no such label, or it is no text.
    pub fn text(&self, label: &str) -> Option<&str> {
        self.labels.get(label)?.as_str()
    }

    /// A label as a number; none if there is no such label, or it is no number.
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
