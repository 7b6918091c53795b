//! summary.json: what a run says, in few numbers and sentences. Made of the rows of raw.json alone.

use super::breakdown::Breakdown;
use super::checks::Check;
use super::curve::cliff::Cliff;
use super::curve::kernel::KernelBoundary;
use super::curve::step::Step;
use super::curve::tier::Tier;
use super::peak::Datasheet;
use crate::measure::record::Calibration;
use crate::ops::error::ErrorKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`crate::journal::record::SCHEMA_VERSION`].
    pub schema_version: String,
    /// Name of the spec entry.
    pub experiment: String,
    /// Name of the run's folder.
    pub run_id: String,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Rows of raw.json.
    pub num_measurements: usize,
    /// Rows with a time.
    pub successful: usize,
    /// Rows without one.
    pub failed: usize,
    /// Why.
    pub failures_by_kind: BTreeMap<ErrorKind, usize>,
    /// The curves, in the order of the spec.
    pub curves: Vec<Curve>,
    /// What padding buys, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub padding: Vec<Padding>,
    /// Each backend against the fastest at its head_dim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<BackendRatio>,
    /// What splitting a GEMM costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heterogeneity: Vec<Heterogeneity>,
    /// The same in sentences, the most telling first.
    pub findings: Vec<String>,
    /// What timing costs on this device, and what the device can do; null on the CPU.
    pub calibration: Option<Calibration>,
    /// What its maker says that it can do, for a GPU that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasheet: Option<Datasheet>,
    /// Validity checks.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Where its time went.
    #[serde(default)]
    pub breakdown: Breakdown,
    /// What the reader should know before believing the numbers.
    pub warnings: Vec<String>,
}

/// The points of one curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// As a legend names it.
    pub curve: String,
    /// Middle part of the case ids.
    pub series: String,
    /// Points with a time.
    pub points: usize,
    /// The point of the smallest median; null without any point.
    pub fastest: Option<DimTime>,
    /// The point of the largest median.
    pub slowest: Option<DimTime>,
    /// The largest ratio of a dimension to its next multiple of 8; null where no such pair was
    /// measured.
    pub worst_penalty: Option<Penalty>,
    /// Median ratio of each class of dimensions to their next multiple of 8.
    pub alignment_classes: AlignmentClasses,
    /// Dimensions at which a larger one is faster, see [`super::curve::cliff`].
    #[serde(default)]
    pub cliffs: Vec<Cliff>,
    /// Dimensions that seem to be cliffs, but might not be.
    #[serde(default)]
    pub suggestive: Vec<usize>,
    /// Dimensions of which that cannot be said, the last one of the range at least.
    #[serde(default)]
    pub unclassified: Vec<usize>,
    /// Jumps between multiples of 8, see [`super::curve::step`].
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What alignment costs, see [`super::curve::tier`].
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// Neighbours that run different kernels.
    #[serde(default)]
    pub kernel_changes: Vec<KernelBoundary>,
}

/// A median of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimTime {
    /// Where.
    pub dim: usize,
    /// How long, in ms.
    pub p50_ms: f64,
}

/// What a dimension costs against its next multiple of 8.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Penalty {
    /// The dimension, no multiple of 8.
    pub dim: usize,
    /// Its next multiple of 8.
    pub next_dim: usize,
    /// `p50_ms / next_p50_ms`.
    pub ratio: f64,
    /// Median at `dim`, in ms.
    pub p50_ms: f64,
    /// Median at `next_dim`, in ms.
    pub next_p50_ms: f64,
}

/// Median ratios to the next multiple of 8 by the largest power of two that divides the dimension;
/// null where there is no such dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignmentClasses {
    /// Odd dimensions.
    pub odd: Option<f64>,
    /// Multiples of 2, but not of 4.
    pub mod2: Option<f64>,
    /// Multiples of 4, but not of 8.
    pub mod4: Option<f64>,
    /// Multiples of 8: 1, as each is its own next.
    pub mod8: Option<f64>,
}

/// An operation padded from its logical dimension to a larger one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Padding {
    /// The curve: which operation.
    pub curve: String,
    /// Elements that hold data.
    pub logical_dim: usize,
    /// Elements with padding.
    pub physical_dim: usize,
    /// Median without padding over median with tensors kept padded: above 1, padding wins.
    pub gain: f64,
    /// The same with the copies into and out of padding inside the timed region; absent if not
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_the_fly_gain: Option<f64>,
    /// Memory that the padding takes, in per cent of the unpadded; absent if the row does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_overhead_pct: Option<f64>,
}

/// A backend at a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendRatio {
    /// The dimension.
    pub dim: usize,
    /// The name it was asked for by.
    pub backend: String,
    /// Its median, in ms.
    pub p50_ms: f64,
    /// Its median over that of the fastest backend at this dimension.
    pub ratio: f64,
}

/// A pattern of head dimensions run as several GEMMs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heterogeneity {
    /// Its name.
    pub pattern: String,
    /// Time per useful operation, over that of the pattern `uniform`: GEMMs one after the other.
    pub penalty: f64,
    /// The same for each other way to compute the pattern.
    pub variants: BTreeMap<String, f64>,
}
