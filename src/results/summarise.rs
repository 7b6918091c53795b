//! From the rows of raw.json to summary.json.

use super::breakdown::Breakdown;
use super::checks;
use super::curve::cliff::Cliffs;
use super::curve::{self, cliff, kernel, step, tier};
use super::findings;
use super::peak;
use super::raw::{CurveKey, Measured, Raw, Row};
use super::summary::{AlignmentClasses, Curve, DimTime, Penalty, Summary};
use super::view::View;
use crate::journal::Run;
use crate::stats::{self, median};
use std::collections::BTreeMap;

/// Summarises the rows of a run; `warnings` come first among its own. [`Summary::breakdown`] is
/// left for later: the report is part of it.
pub fn of(raw: &Raw, run: &Run, view: &View, mut warnings: Vec<String>) -> Summary {
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
        curves: raw.curves().into_iter().map(|(key, rows)| curve(key, &rows)).collect(),
        padding: Vec::new(),
        backends: Vec::new(),
        heterogeneity: Vec::new(),
        low_rank: Vec::new(),
        energy: Vec::new(),
        model: None,
        stand_ins: raw.stand_ins().into_iter().map(str::to_owned).collect(),
        findings: findings::stand_ins::of(raw).into_iter().collect(),
        calibration,
        datasheet: raw.metadata.device_name.as_deref().and_then(peak::datasheet),
        checks: checks::of(raw, calibration.as_ref(), &run.header.env),
        breakdown: Breakdown::default(),
        warnings,
    };
    view.findings.iter().for_each(|add| add(&mut summary, raw, view));
    findings::energy::add(&mut summary, raw, view);
    summary
}

fn curve((series, name): CurveKey, rows: &[&Row]) -> Curve {
    let stand_in = rows.iter().any(|row| row.is_stand_in());
    let rows: Vec<&Measured> = rows.iter().filter_map(|row| row.measured()).collect();
    let times: BTreeMap<usize, f64> =
        rows.iter().map(|row| (row.point.dim, row.timing.p50)).collect();
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
        stand_in,
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

fn penalty(times: &BTreeMap<usize, f64>, dim: usize) -> Option<Penalty> {
    let next_dim = dim.next_multiple_of(8);
    let (p50_ms, next_p50_ms) = (*times.get(&dim)?, *times.get(&next_dim)?);
    Some(Penalty { dim, next_dim, ratio: p50_ms / next_p50_ms, p50_ms, next_p50_ms })
}

fn doubts(raw: &Raw) -> Vec<String> {
    let count = |flag: &str| {
        raw.measured().filter(|row| row.flags.iter().any(|f| f.starts_with(flag))).count()
    };
    let drifting = drifting(raw);
    let sentences: [(&str, &str); 9] = [
        ("fewer_trials", "have fewer trials than asked for"),
        (
            "imprecise",
            "have a median that is not known to 1 % (a host's: 10 %), which adaptive runs aim for",
        ),
        ("cliff_undecided", "may be a cliff or not: the adaptive protocol left that undecided"),
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
