//! The figures of a row beside its latency.

use crate::stats::Timing;
use serde::{Deserialize, Serialize};

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
