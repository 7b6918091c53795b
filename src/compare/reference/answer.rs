//! The answer: what every output is made of. reference.json is this, field by field. Ratios are
//! this card's over the reference's.

use super::class::Class;
use super::verdict::Verdict;
use crate::results::curve::kernel::KernelChange;
use crate::workload::ErrorKind;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardComparison {
    /// [`crate::journal::record::SCHEMA_VERSION`].
    pub schema_version: String,
    /// What the process ends with.
    pub outcome: Outcome,
    /// Of both cards, as the driver names it.
    pub model: String,
    /// What is judged.
    pub card: Side,
    /// What it is judged by.
    pub reference: Side,
    /// Classes of cases: those that fail first.
    pub classes: Vec<ClassRow>,
    /// Cases that the reference measured, and that end here with a wrong result or an error of
    /// CUDA.
    pub fails_here: Vec<FailsHere>,
    /// Cases that nothing is said of.
    pub left_out: LeftOut,
    /// What the classes say, in sentences.
    pub findings: Vec<String>,
    /// What to know before believing it.
    pub notes: Vec<String>,
    /// The cases behind the classes, by id.
    pub rows: Vec<CaseRow>,
}

/// The answer, with the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No class is slower than cards of a model differ by.
    AsExpected = 0,
    /// Some class is, or a case fails here.
    Worse = 1,
    /// No case can be judged.
    Inconclusive = 3,
}

/// Runs on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// As the user named it, or where it was found.
    pub name: String,
    /// Run ids, of those with a case that both sides have.
    pub runs: Vec<String>,
    /// The cards they ran on.
    pub cards: Vec<Card>,
}

/// A card, as its runs found it; what they did not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// NVIDIA's identity of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Version of the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Limit of power, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    /// Measured peak of copying, in GB/s; median of its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_gbs: Option<f64>,
    /// Measured peak of a large GEMM in fp16, in TFLOP/s; median of its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fp16_tflops: Option<f64>,
}

/// A class: medians over its cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Which.
    #[serde(flatten)]
    pub class: Class,
    /// What is said of it.
    pub verdict: Verdict,
    /// How many cases.
    pub cases: usize,
    /// Of the time of a launch.
    pub time_ratio: f64,
    /// 95 % confidence interval of that median, were the cases independent; absent for fewer than
    /// six.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ci95: Option<[f64; 2]>,
    /// Of the SM clocks while it was measured.
    pub clock_ratio: f64,
    /// Of the SM cycles of a launch.
    pub cycles_ratio: f64,
    /// How far time and cycles may both be off.
    pub allowance_pct: f64,
    /// This card meanwhile.
    pub card: State,
    /// The reference's meanwhile.
    pub reference: State,
}

/// A card while a class was measured: medians over the cases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// SM clock as counted, in MHz.
    pub sm_mhz: f64,
    /// Board power in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// GPU temperature in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Clock event reasons seen, by NVML's names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle: Vec<String>,
}

/// A case and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailsHere {
    /// `group/series/point`.
    pub case_id: String,
    /// What kind of error.
    pub error_kind: ErrorKind,
}

/// Cases of this card that are not judged, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Other kernels ran: the libraries differ, and not the cards.
    pub other_kernels: Vec<OtherKernels>,
    /// An error in the reference, or on this card one of its libraries or memory.
    pub failed: Vec<String>,
    /// The reference has no such case of that provider, shape and precision.
    pub not_in_reference: Vec<String>,
    /// SM cycles were not counted on one side.
    pub not_counted: Vec<String>,
}

/// A case and the kernels of the reference (`from`) and of this card (`to`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherKernels {
    /// `group/series/point`.
    pub case_id: String,
    /// Their names.
    #[serde(flatten)]
    pub change: KernelChange,
}

/// A case that is judged with its class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRow {
    /// `group/series/point`.
    pub case_id: String,
    /// The class that it is judged with.
    #[serde(flatten)]
    pub class: Class,
    /// Time of a launch on this card, in ms.
    pub p50_ms: f64,
    /// The same of the reference.
    pub reference_p50_ms: f64,
    /// Of these times.
    pub time_ratio: f64,
    /// Of the SM clocks.
    pub clock_ratio: f64,
    /// Of the SM cycles of a launch.
    pub cycles_ratio: f64,
}
