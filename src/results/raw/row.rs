//! A row of raw.json: a point, and what came of it.

use super::figures::{Cold, CriterionEstimates, Derived, Energy, PerCall};
use super::point::Point;
use crate::device::clocks::Clocks;
use crate::device::kernel::{Algorithm, Kernel};
use crate::device::torch::Versions;
use crate::ops::plan::Verification;
use crate::stats::Timing;
use crate::workload::ErrorKind;
use crate::workload::provider::Provider;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A point: measured, or an error. A reader tells them apart by the key `error`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Row {
    Measured(Box<Measured>),
    Failed(Box<Failed>),
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
    /// What makes the time doubtful, see [`crate::results::build`].
    pub flags: Vec<String>,
    pub derived: Derived,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
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
