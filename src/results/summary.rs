//! summary.json: what a run says, in few numbers and sentences. Made of the rows of raw.json alone.

use super::breakdown::Breakdown;
use super::checks::{self, Check};
use super::curve::cliff::{Cliff, Cliffs};
use super::curve::kernel::KernelBoundary;
use super::curve::step::Step;
use super::curve::tier::Tier;
use super::curve::{self, cliff, kernel, step, tier};
use super::findings;
use super::peak::{self, Datasheet};
use super::raw::{Measured, Point, Raw, Row};
use crate::journal::Run;
use crate::measure::record::Calibration;
use crate::ops::error::ErrorKind;
use crate::stats::{self, median};
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
    /// P1: what padding buys, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub padding: Vec<Padding>,
    /// S2: each backend against the fastest at its head_dim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<BackendRatio>,
    /// HET1: what splitting a product costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heterogeneity: Vec<Heterogeneity>,
    /// The same in sentences, the most telling first.
    pub findings: Vec<String>,
    /// What timing costs on this device, and what the device can do; null on the CPU.
    pub calibration: Option<Calibration>,
    /// What its maker says that it can do, for a GPU that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasheet: Option<Datasheet>,
    /// What the run can vouch for.
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
    /// The largest ratio of a dimension to its next multiple of 8; null where no such pair was measured.
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

/// Median ratios to the next multiple of 8 by the largest power of two that divides the dimension; null where there
/// is no such dimension.
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
    /// The same with the copies into and out of padding inside the timed region; absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_the_fly_gain: Option<f64>,
    /// Memory that the padding takes, in per cent of the unpadded; absent if the row does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_overhead_pct: Option<f64>,
}

/// A backend at a head_dim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendRatio {
    /// head_dim.
    pub dim: usize,
    /// The name it was asked for by.
    pub backend: String,
    /// Its median, in ms.
    pub p50_ms: f64,
    /// Its median over that of the fastest backend at this head_dim.
    pub ratio: f64,
}

/// A pattern of head dimensions run as several products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heterogeneity {
    /// Its name.
    pub pattern: String,
    /// Time per useful operation, over that of the pattern `uniform`: products one after the other.
    pub penalty: f64,
    /// The same for each other way to compute the pattern.
    pub variants: BTreeMap<String, f64>,
}

/// Summarises the rows of a run; `warnings` come first among its own. [`Summary::breakdown`] is left for later: the report is
/// part of it.
pub fn of(raw: &Raw, run: &Run, mut warnings: Vec<String>) -> Summary {
    let calibration = run.header.calibration;
    let mut failures_by_kind = BTreeMap::new();
    for row in raw.failed() {
        *failures_by_kind.entry(row.error_kind).or_default() += 1;
    }
    warnings.extend(doubts(raw));
    let mut summary = Summary {
        schema_version: raw.schema_version.clone(),
        experiment: raw.experiment.clone(),
        run_id: raw.metadata.run_id.clone(),
        device: raw.metadata.device.clone(),
        num_measurements: raw.measurements.len(),
        successful: raw.measured().count(),
        failed: raw.failed().count(),
        failures_by_kind,
        curves: curves(raw).into_iter().map(|(key, rows)| curve(key, &rows)).collect(),
        padding: Vec::new(),
        backends: Vec::new(),
        heterogeneity: Vec::new(),
        findings: Vec::new(),
        calibration,
        datasheet: raw.metadata.device_name.as_deref().and_then(peak::datasheet),
        checks: checks::of(raw, calibration.as_ref(), &run.header.env),
        breakdown: Breakdown::default(),
        warnings,
    };
    findings::add(&mut summary, raw);
    summary
}

/// The series and legend of a curve.
type CurveKey<'a> = (&'a str, &'a str);

/// The rows of each curve, in the order of the spec.
pub fn curves(raw: &Raw) -> Vec<(CurveKey<'_>, Vec<&Row>)> {
    let mut curves: Vec<(CurveKey, Vec<&Row>)> = Vec::new();
    for row in &raw.measurements {
        let Point { series, curve, .. } = row.point();
        let key = (&**series, &**curve);
        match curves.iter_mut().find(|(other, _)| *other == key) {
            Some((_, rows)) => rows.push(row),
            None => curves.push((key, vec![row])),
        }
    }
    curves
}

fn curve((series, name): CurveKey, rows: &[&Row]) -> Curve {
    let rows: Vec<&Measured> = rows.iter().filter_map(|row| measured(row)).collect();
    let times: BTreeMap<usize, f64> = rows.iter().map(|row| dim_time(row)).collect();
    let at = |(&dim, &p50_ms): (&usize, &f64)| DimTime { dim, p50_ms };
    let penalties: Vec<Penalty> =
        times.iter().filter_map(|(&dim, _)| penalty(&times, dim)).collect();
    let class = |of: fn(usize) -> bool| {
        let ratios =
            penalties.iter().filter(|penalty| of(penalty.dim)).map(|penalty| penalty.ratio);
        median(&ratios.collect::<Vec<_>>())
    };
    let along = curve::Curve::of(&rows);
    let Cliffs { cliffs, suggestive, unclassified } = cliff::find(&along);
    Curve {
        curve: name.to_owned(),
        series: series.to_owned(),
        points: times.len(),
        fastest: times.iter().min_by(|a, b| a.1.total_cmp(b.1)).map(at),
        slowest: times.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(at),
        worst_penalty: penalties
            .iter()
            .filter(|penalty| penalty.dim != penalty.next_dim)
            .max_by(|a, b| a.ratio.total_cmp(&b.ratio))
            .copied(),
        alignment_classes: AlignmentClasses {
            odd: class(|dim| dim % 2 == 1),
            mod2: class(|dim| dim % 4 == 2),
            mod4: class(|dim| dim % 8 == 4),
            mod8: class(|dim| dim % 8 == 0),
        },
        cliffs,
        suggestive,
        unclassified,
        steps: step::find(&along),
        tiers: tier::find(&along),
        kernel_changes: kernel::boundaries(&along),
    }
}

fn measured<'a>(row: &'a &Row) -> Option<&'a Measured> {
    match row {
        Row::Measured(row) => Some(row),
        Row::Failed(_) => None,
    }
}

fn dim_time(row: &Measured) -> (usize, f64) {
    (row.point.dim, row.timing.p50)
}

fn penalty(times: &BTreeMap<usize, f64>, dim: usize) -> Option<Penalty> {
    let next_dim = dim.next_multiple_of(8);
    let (p50_ms, next_p50_ms) = (*times.get(&dim)?, *times.get(&next_dim)?);
    Some(Penalty { dim, next_dim, ratio: p50_ms / next_p50_ms, p50_ms, next_p50_ms })
}

/// One sentence per kind of flag, with the number of rows that carry it.
fn doubts(raw: &Raw) -> Vec<String> {
    let count = |flag: &str| {
        raw.measured().filter(|row| row.flags.iter().any(|f| f.starts_with(flag))).count()
    };
    let drifting = drifting(raw);
    let sentences: [(&str, &str); 8] = [
        ("fewer_trials", "have fewer trials than asked for"),
        (
            "imprecise",
            "have a median that is not known to 0.5 %, as the adaptive protocol aims for",
        ),
        ("unstable", "have trials whose medians differ by more than 2 %"),
        ("drifting", &drifting),
        ("clock_moved", "have trials whose SM clocks differ by more than 0.5 %"),
        ("below_settled_clock", "ran below 95 % of the clock at which the card settled"),
        ("throttled", "were measured while the card was slowed down by heat or hardware"),
        ("power_capped", "were measured while the card was at its power limit"),
    ];
    let rows = raw.measurements.len();
    sentences
        .iter()
        .map(|(flag, what)| (count(flag), what))
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| format!("{count} of {rows} rows {what}"))
        .collect()
}

/// How far the medians moved of the rows that are said to drift.
fn drifting(raw: &Raw) -> String {
    let is_drifting = |row: &&Measured| row.flags.iter().any(|flag| flag == "drifting");
    let moved = raw.measured().filter(is_drifting).filter_map(|row| stats::moved(&row.timing_raw));
    let moved = stats::sorted(&moved.map(|share| share * 100.0).collect::<Vec<_>>());
    let typical = median(&moved).unwrap_or_default();
    let worst = moved.last().copied().unwrap_or_default();
    format!(
        "have a median that moved between the first half of their samples and the second, \
         typically by {typical:.1} %, at worst by {worst:.1} %"
    )
}
