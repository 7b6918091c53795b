//! A comparison: what every output is made of. comparison.json is this, field by field.

use super::verdict::Verdict;
use crate::results::curve::kernel::KernelChange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`crate::journal::record::SCHEMA_VERSION`].
    pub schema_version: String,
    /// What was compared, and so what the verdicts promise.
    pub kind: Kind,
    /// The answer: what the process ends with.
    pub outcome: Outcome,
    /// What it is compared with.
    pub base: Side,
    /// What is judged.
    pub cand: Side,
    /// The least slowdown that counts, in per cent.
    pub threshold_pct: f64,
    /// The cases as a whole.
    pub suite: Suite,
    /// How a gate measured; absent for stored runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Measured>,
    /// How often each verdict was given.
    pub counts: BTreeMap<Verdict, usize>,
    /// What differs between the sides beside the builds.
    pub mismatches: Vec<Mismatch>,
    /// What to know before believing the verdicts.
    pub notes: Vec<String>,
    /// A row per case: first what fails the comparison, then by verdict, the largest change first.
    pub rows: Vec<Row>,
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Runs measured before.
    Stored,
    /// Two builds, by pairs of processes.
    Gate,
    /// One build with itself, by pairs of processes.
    NoiseFloor,
}

/// The answer of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing that counts got slower or broke.
    Passed,
    /// Something did.
    Regressed,
    /// The machine did not allow an answer.
    Inconclusive,
}

impl Outcome {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::Regressed => 1,
            Outcome::Inconclusive => 3,
        }
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// As the user named it.
    pub name: String,
    /// Run ids, or the executable.
    pub runs: Vec<String>,
    /// Where it ran, as a title names it; absent where nothing says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The cases as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Median over the cases of candidate over base; absent for fewer cases than say anything of a
    /// suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Whether the suite as a whole got slower by more than counts.
    pub is_slower: bool,
    /// The chance of so large a shift were there none; absent where nobody looked into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// SM clock under the candidate over that under the base, where it was looked into and is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ratio: Option<f64>,
}

/// How a gate measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pairs of processes, all stages.
    pub pairs: usize,
    /// Seconds they took, those of an interrupted gate among them.
    pub wall_s: f64,
    /// Trials of a process in the screen, and in the confirmation.
    pub trials: [usize; 2],
    /// Cases that the screen flagged, and fresh pairs looked into.
    pub candidates: usize,
    /// Typical deviation of a difference of one pair, in per cent; absent where no case had a time
    /// in all pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation_pct: Option<f64>,
    /// How strongly the deviation of a case is drawn to it, in degrees of freedom; absent if
    /// altogether.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_freedom: Option<f64>,
    /// Median over the cases of the minimum detectable effect, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mde_pct: Option<f64>,
}

/// Something beside the build that differs between the sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// What.
    pub what: String,
    /// In the base.
    pub base: String,
    /// In the candidate.
    pub cand: String,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `group/series/point`.
    pub case_id: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// Whether it fails the comparison.
    pub fails: bool,
    /// Median of the candidate over that of the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// 95 % confidence interval of the ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<[f64; 2]>,
    /// The chance of so large a change were there none: in the direction of the change for a gate,
    /// in either for runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// `p_value` adjusted for the number of cases (Benjamini and Hochberg).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_value: Option<f64>,
    /// Pairs of processes behind the ratio; absent for stored runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// Minimum detectable effect: the smallest slowdown that a gate detects here 19 times in 20, in
    /// per cent; absent for stored runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mde_pct: Option<f64>,
    /// Times of the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Times>,
    /// Times of the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cand: Option<Times>,
    /// The kernels of both, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_change: Option<KernelChange>,
    /// Why there is no time, or what makes the times doubtful.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Times of a case on one side, in ms per launch: over the samples of stored runs, over the medians
/// of a gate's processes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Median.
    pub p50_ms: f64,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// Standard deviation of the population.
    pub std_ms: f64,
    /// How many.
    pub count: usize,
}

impl Times {
    /// Of some times in ms; none of nothing.
    pub fn of(times_ms: &[f64]) -> Option<Times> {
        let timing = crate::stats::Timing::of(times_ms)?;
        let crate::stats::Timing { p50, mean, std, count, .. } = timing;
        Some(Times { p50_ms: p50, mean_ms: mean, std_ms: std, count })
    }
}

impl Row {
    /// A row of which nothing is known yet but the verdict.
    pub fn new(case_id: impl Into<String>, verdict: Verdict) -> Self {
        Row {
            case_id: case_id.into(),
            verdict,
            fails: matches!(verdict, Verdict::NowFails | Verdict::Regressed),
            ratio: None,
            ci95: None,
            p_value: None,
            q_value: None,
            pairs: None,
            mde_pct: None,
            base: None,
            cand: None,
            kernel_change: None,
            remarks: Vec::new(),
        }
    }
}

impl Comparison {
    /// Rows that fail it.
    pub fn failing(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.fails)
    }

    /// Puts the rows in order, and counts them.
    pub(super) fn ordered(mut self) -> Self {
        let size = |row: &Row| row.ratio.map_or(0.0, |ratio| ratio.ln().abs());
        self.rows.sort_by(|a, b| {
            let rank = |row: &Row| (!row.fails, row.verdict);
            rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a))).then(a.case_id.cmp(&b.case_id))
        });
        self.counts = BTreeMap::new();
        for row in &self.rows {
            *self.counts.entry(row.verdict).or_default() += 1;
        }
        self
    }
}
