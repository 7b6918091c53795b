//! A comparison: what every output is made of. comparison.json is this, field by field.

use crate::results::curve::kernel::KernelChange;
use crate::stats::{Timing, median};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The whole file. Ratios are candidate over base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`crate::journal::record::SCHEMA_VERSION`].
    pub schema_version: String,
    /// What was compared, and so what the verdicts promise.
    pub kind: Kind,
    /// What the process ends with.
    pub outcome: Outcome,
    /// What it is compared with.
    pub base: Side,
    /// What is judged.
    pub cand: Side,
    /// The least slowdown that counts.
    pub threshold_pct: f64,
    /// The cases as a whole.
    pub suite: Suite,
    /// How a gate measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Measured>,
    /// How often each verdict was given.
    pub counts: BTreeMap<Verdict, usize>,
    /// What differs between the sides beside the builds.
    pub mismatches: Vec<Mismatch>,
    /// What to know before believing the verdicts.
    pub notes: Vec<String>,
    /// First what fails the comparison, then by verdict, the largest change first.
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

/// The answer of a comparison, with the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing that counts got slower or broke.
    Passed = 0,
    /// Something did.
    Regressed = 1,
    /// The machine did not allow an answer.
    Inconclusive = 3,
}

/// What a comparison says of a case; docs/regression.md has what stored runs and gates mean by
/// each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It had a time in the base, and is an error in the candidate.
    NowFails,
    /// Slower, beyond chance.
    Regressed,
    /// Neither a change nor its absence can be told.
    Ambiguous,
    /// Only the base has it.
    OnlyInBase,
    /// Only the candidate has it.
    OnlyInCand,
    /// It was an error in the base, and has a time in the candidate.
    NowRuns,
    /// Faster, beyond chance.
    Improved,
    /// No change that counts.
    #[default]
    Same,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.serialize(f)
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// As the user named it.
    pub name: String,
    /// Run ids, or the executable.
    pub runs: Vec<String>,
    /// Where it ran, as a title names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The cases as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Median over the cases; absent for fewer cases than say anything of a suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Time goes with the SM clock to minus this power: by that all ratios of cases are at equal
    /// clocks. 0 where nothing was made of the clock.
    #[serde(default)]
    pub clock_elasticity: f64,
    /// Whether the suite as a whole got slower by more than counts.
    pub is_slower: bool,
    /// The chance of so large a shift were there none; absent where nobody looked into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Of the SM clocks, where it was looked into and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    /// Typical deviation of a difference of one pair; absent where no case had a time in all pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation_pct: Option<f64>,
    /// How strongly the deviation of a case is drawn to it, in degrees of freedom; absent if
    /// altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_freedom: Option<f64>,
    /// Median over the cases of the minimum detectable effect.
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `group/series/point`.
    pub case_id: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// Whether it fails the comparison.
    pub fails: bool,
    /// Of the medians, at equal SM clocks where those were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Of the SM clocks; absent where they were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ratio: Option<f64>,
    /// Of the SM cycles: the medians as they were, times `clock_ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_ratio: Option<f64>,
    /// 95 % confidence interval of the ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci95: Option<[f64; 2]>,
    /// The chance of so large a change were there none: in the direction of the change for a gate,
    /// in either for runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// `p_value` adjusted for the number of cases (Benjamini and Hochberg).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q_value: Option<f64>,
    /// Pairs of processes behind the ratio of a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// Minimum detectable effect: the smallest slowdown that a gate detects here 19 times in 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mde_pct: Option<f64>,
    /// Times of the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Times>,
    /// Times of the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cand: Option<Times>,
    /// The kernels of both, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    pub(super) fn of(times_ms: &[f64]) -> Option<Times> {
        let Timing { p50, mean, std, count, .. } = Timing::of(times_ms)?;
        Some(Times { p50_ms: p50, mean_ms: mean, std_ms: std, count })
    }
}

impl Row {
    pub(super) fn new(case_id: &str, verdict: Verdict) -> Self {
        let fails = matches!(verdict, Verdict::NowFails | Verdict::Regressed);
        Row { case_id: case_id.to_owned(), verdict, fails, ..Row::default() }
    }
}

impl Comparison {
    /// Rows that fail it.
    pub fn failing(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.fails)
    }

    /// Of cases that only the base has, where that is not allowed.
    fn note_of_missing(&self) -> Option<String> {
        let missing = self.failing().filter(|row| row.verdict == Verdict::OnlyInBase).count();
        (missing > 0).then(|| {
            format!(
                "{missing} cases of the base are not in the candidate: --allow-missing lets them be"
            )
        })
    }

    /// What the clock did to a comparison, where that is worth a word.
    fn note_of_clock(&self) -> Option<String> {
        const NOTABLE: f64 = 0.005;
        let clocks: Vec<f64> =
            self.rows.iter().filter_map(|row| row.clock_ratio).map(f64::ln).collect();
        let middle = median(&clocks)?;
        let widest = clocks.iter().map(|clock| clock.abs()).fold(0.0, f64::max);
        (widest >= NOTABLE).then(|| {
            format!(
                "changes are at equal SM clocks, by clock^-{:.2} as found here: under the \
                 candidate the clock was {:+.1} % (median of the cases; at most {:.1} % apart)",
                self.suite.clock_elasticity,
                // Not "-0.0".
                (middle.exp_m1() * 1000.0).round() / 10.0 + 0.0,
                widest.exp_m1() * 100.0
            )
        })
    }

    /// With its rows in order, counted, and what is missing and what the clock did told.
    pub(super) fn finished(mut self) -> Self {
        self.notes.extend(self.note_of_missing().into_iter().chain(self.note_of_clock()));
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
