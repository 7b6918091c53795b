//! summary.json: what a run says, in few numbers and sentences. Made of the rows of raw.json alone.

use super::breakdown::Breakdown;
use super::checks::Check;
use super::curve::cliff::Cliff;
use super::curve::kernel::KernelBoundary;
use super::curve::step::Step;
use super::curve::tier::Tier;
use super::model::ModelReport;
use super::peak::Datasheet;
use super::raw::marked;
use crate::measure::record::Calibration;
use crate::workload::ErrorKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    pub schema_version: String,
    pub experiment: String,
    pub run_id: String,
    pub device: String,
    pub num_measurements: usize,
    pub successful: usize,
    pub failed: usize,
    pub failures_by_kind: BTreeMap<ErrorKind, usize>,
    pub curves: Vec<Curve>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub padding: Vec<Padding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<BackendRatio>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heterogeneity: Vec<Heterogeneity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub low_rank: Vec<LowRank>,
    /// What the curves cost in energy, where that was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy: Vec<CurveEnergy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReport>,
    /// The published names under which ours ran, not PyTorch's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<String>,
    /// The same in sentences, the most telling first; before them that there are stand-ins.
    pub findings: Vec<String>,
    /// What timing costs on this device, and what the device can do; null on the CPU.
    pub calibration: Option<Calibration>,
    /// What its maker says that it can do, for a GPU that is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasheet: Option<Datasheet>,
    #[serde(default)]
    pub checks: Vec<Check>,
    #[serde(default)]
    pub breakdown: Breakdown,
    pub warnings: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Curve {
    pub curve: String,
    pub series: String,
    /// Whether stand-ins for PyTorch's backends are on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    pub points: usize,
    pub fastest: Option<DimTime>,
    pub slowest: Option<DimTime>,
    /// The largest ratio of a dimension to its next multiple of 8; null where no such pair was
    /// measured.
    pub worst_penalty: Option<Penalty>,
    /// Median ratio of each class of dimensions to their next multiple of 8.
    pub alignment_classes: AlignmentClasses,
    #[serde(default)]
    pub cliffs: Vec<Cliff>,
    #[serde(default)]
    pub suggestive: Vec<usize>,
    /// Dimensions of which that cannot be said, the last one of the range at least.
    #[serde(default)]
    pub unclassified: Vec<usize>,
    #[serde(default)]
    pub steps: Vec<Step>,
    #[serde(default)]
    pub tiers: Vec<Tier>,
    #[serde(default)]
    pub kernel_changes: Vec<KernelBoundary>,
}

impl Curve {
    /// Its name as a table has it.
    pub(crate) fn marked(&self) -> String {
        marked(&self.curve, self.stand_in)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimTime {
    pub dim: usize,
    pub p50_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Penalty {
    pub dim: usize,
    pub next_dim: usize,
    pub ratio: f64,
    pub p50_ms: f64,
    pub next_p50_ms: f64,
}

/// Median ratios to the next multiple of 8 by the largest power of two that divides the dimension;
/// null where there is no such dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignmentClasses {
    pub odd: Option<f64>,
    pub mod2: Option<f64>,
    pub mod4: Option<f64>,
    /// Multiples of 8: 1, as each is its own next.
    pub mod8: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Padding {
    pub curve: String,
    pub logical_dim: usize,
    pub physical_dim: usize,
    /// Median without padding over median with tensors kept padded: above 1, padding wins.
    pub gain: f64,
    /// The same with the copies into and out of padding inside the timed region; absent if not
    /// measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_the_fly_gain: Option<f64>,
    /// Memory that the padding takes, in per cent of the unpadded; absent if the row does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_overhead_pct: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackendRatio {
    pub dim: usize,
    pub backend: String,
    pub p50_ms: f64,
    /// Its median over that of the fastest backend at this dimension.
    pub ratio: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Heterogeneity {
    pub pattern: String,
    /// Time per useful operation, over that of the pattern `uniform`: GEMMs one after the other.
    pub penalty: f64,
    pub variants: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveEnergy {
    pub curve: String,
    pub series: String,
    /// The dimension that does most work for a joule.
    pub most_efficient: DimEnergy,
    /// The largest ratio of a dimension to its next multiple of 8 that is above 1 by more than its
    /// uncertainty; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_penalty: Option<EnergyPenalty>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimEnergy {
    pub dim: usize,
    pub joules_per_launch: f64,
    pub tflop_per_joule: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnergyPenalty {
    pub dim: usize,
    pub next_dim: usize,
    pub ratio: f64,
    pub joules_per_launch: f64,
    pub next_joules_per_launch: f64,
}

/// A curve of low-rank pairs beside the dense layer that they stand for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LowRank {
    pub curve: String,
    /// Median of the dense layer, over all rows, in ms.
    pub dense_p50_ms: f64,
    /// The largest rank at which the pair has no more parameters than the dense layer.
    pub parameters_rank: usize,
    pub multiples_of_8: BreakEven,
    pub other_ranks: BreakEven,
    /// The rank whose time falls most when it is kept padded to a multiple of 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<PaddedRank>,
    /// Median gain of padding, over all other ranks: above 1, padding wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding_gain: Option<f64>,
}

/// Up to which of the measured ranks a pair is faster than the dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakEven {
    /// The last rank before the first that is not; null where already the smallest is not.
    pub faster_up_to: Option<usize>,
    /// The first rank that is not; null where all are.
    pub not_at: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaddedRank {
    pub rank: usize,
    /// Its time over that of the rank kept padded.
    pub ratio: f64,
    /// Its time over that of the dense layer.
    pub of_dense: f64,
}
