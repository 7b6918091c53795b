//! Validity checks, yes or no each, from the run's own rows: NVIDIA's guidelines for measuring
//! GEMMs (power and clock declared, operands rotated, random data, no gaps between launches), and
//! what else a reader has to take on trust.

use super::raw::{Cold, Measured, Raw};
use crate::measure::record::{Calibration, Settled};
use crate::stats::median;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const HOST_FREE: &str = "GPU time without the host";

/// A sample shorter than this, in milliseconds, would hold too much of the event pair around it.
const LEAST_SAMPLE_MS: f64 = 0.3;
/// Launches of a graph follow each other closely enough if an empty one takes no more of the
/// shortest than this.
const MOST_GAP: f64 = 0.1;
/// The logarithm of the first trials over the last, at most, where they agree.
const MOST_DRIFT: f64 = 0.003;
/// Rotation makes caches cold if a bandwidth-bound copy gets slower by this factor at least.
const LEAST_COLD_OVER_WARM: f64 = 1.5;

#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    pub check: String,
    pub outcome: Outcome,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Yes,
    No,
    /// It holds for every run on this device, whatever its data.
    ByConstruction,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Yes => "yes",
            Outcome::No => "no",
            Outcome::ByConstruction => "by construction",
        }
    }
}

pub fn of(raw: &Raw, calibration: Option<&Calibration>, env: &Value) -> Vec<Check> {
    let rows: Vec<&Measured> = raw.measured().collect();
    let on_gpu = raw.metadata.device != "cpu";
    let count = |holds: &dyn Fn(&Measured) -> bool| rows.iter().filter(|row| holds(row)).count();
    let all = |text: &str, counted: usize, what: &str| {
        let detail = format!("{counted} of {} points {what}", rows.len());
        check(text, !rows.is_empty() && counted == rows.len(), detail)
    };
    let flagged =
        |row: &Measured, flag: &str| row.flags.iter().any(|known| known.starts_with(flag));
    let advised = |text: &str, counted: usize, what: &str, advice: &str| {
        let found = all(text, counted, what);
        match found.outcome {
            Outcome::No => Check { detail: format!("{}; {advice}", found.detail), ..found },
            _ => found,
        }
    };
    let mut checks = vec![
        all(
            "result checked before it was timed",
            count(&|row| row.verification.max_rel_error <= row.verification.tolerance),
            "within the tolerance of their type",
        ),
        by_construction("random data", "seeded normal numbers, the same on every device"),
        match on_gpu {
            true => by_construction(HOST_FREE, "replays of CUDA graphs between events"),
            false => check(HOST_FREE, false, "the host's clock on the CPU".to_owned()),
        },
        all(
            "samples long enough for their clock",
            count(&|row| row.launches_per_sample as f64 * row.timing.p50 >= LEAST_SAMPLE_MS),
            "last 0.3 ms a sample",
        ),
        all("all trials made", count(&|row| !flagged(row, "fewer_trials")), "have every trial"),
        advised(
            "trials agree",
            count(&|row| !flagged(row, "unstable")),
            "have medians within 2 %",
            "the flags of the others may say why (clock_moved: their clock did); else take more \
             trials, `trials: 6` in the spec",
        ),
        first_and_last(&rows),
    ];
    if on_gpu {
        let not_held_down = |row: &Measured| {
            !["power_capped", "throttled", "below_settled_clock"]
                .iter()
                .any(|flag| flagged(row, flag))
        };
        checks.extend([
            power(env),
            settled(calibration),
            advised(
                "clock not held down",
                count(&not_held_down),
                "at 95 % of the settled clock or more, without a power cap or a slowdown",
                "nothing here sets clocks: `night-sweep compare` takes runs to equal clocks; with \
                 `throttled` among their flags, look at the card's cooling and power",
            ),
            gaps(&rows, calibration),
            cold(&rows),
            coldness(calibration),
        ]);
    }
    checks
}

fn check(text: &str, holds: bool, detail: String) -> Check {
    let outcome = if holds { Outcome::Yes } else { Outcome::No };
    Check { check: text.to_owned(), outcome, detail }
}

fn by_construction(text: &str, detail: &str) -> Check {
    let outcome = Outcome::ByConstruction;
    Check { check: text.to_owned(), outcome, detail: detail.to_owned() }
}

fn power(env: &Value) -> Check {
    let limit_w = env["gpu"]["power_limit_w"].as_u64();
    let detail = match limit_w {
        Some(watts) => format!("a limit of {watts} W, which nothing here sets"),
        None => "NVML does not say".to_owned(),
    };
    check("power limit declared", limit_w.is_some(), detail)
}

/// Whether drift can be told from a difference: the last trials took as long as the first.
fn first_and_last(rows: &[&Measured]) -> Check {
    let ratios: Vec<f64> = rows.iter().filter_map(|row| first_over_last(row)).collect();
    let ratio = median(&ratios);
    let holds = ratio.is_some_and(|ratio| ratio.ln().abs() <= MOST_DRIFT);
    let detail = match ratio {
        None => "no point has two trials".to_owned(),
        Some(ratio) => {
            let advice = "; the device was not yet, or no longer, what it was: run again, on a \
                          GPU with a longer NIGHT_SWEEP_BURN_IN";
            format!(
                "the first trial of a point against its last: {:+.2} % (median of {}){}",
                (ratio - 1.0) * 100.0,
                ratios.len(),
                if holds { "" } else { advice }
            )
        }
    };
    check("first and last trials agree", holds, detail)
}

fn first_over_last(row: &Measured) -> Option<f64> {
    match row.trial_p50.as_slice() {
        [first, .., last] => Some(first / last),
        _ => None,
    }
}

fn settled(calibration: Option<&Calibration>) -> Check {
    let start = calibration.and_then(|found| found.start);
    let large = calibration.and_then(|found| found.settled_sm_mhz);
    let detail = match start {
        Some(Settled { sm_mhz: Some(mhz), steady, wait_s }) => format!(
            "{} {mhz:.0} MHz, counted under a light load, after {wait_s:.1} s{}",
            if steady { "steady at" } else { "still moving, at" },
            large.map(|mhz| format!("; {mhz} MHz under a large GEMM")).unwrap_or_default()
        ),
        _ => "no clock was counted".to_owned(),
    };
    check("clock settled before the first trial", start.is_some_and(|start| start.steady), detail)
}

fn gaps(rows: &[&Measured], calibration: Option<&Calibration>) -> Check {
    let node_ns = calibration.and_then(|found| found.graph_node_ns);
    let shortest_ms = rows.iter().map(|row| row.timing.p50).fold(f64::INFINITY, f64::min);
    let share = node_ns.map(|node_ns| node_ns * 1e-6 / shortest_ms);
    let detail = match (node_ns, share) {
        (Some(node_ns), Some(share)) => format!(
            "an empty kernel takes {:.2} us in a graph, {:.1} % of the shortest launch",
            node_ns * 1e-3,
            share * 100.0
        ),
        _ => "not calibrated".to_owned(),
    };
    check("no gaps between launches", share.is_some_and(|share| share <= MOST_GAP), detail)
}

fn cold(rows: &[&Measured]) -> Check {
    let of =
        |is: fn(&Cold) -> bool| rows.iter().filter(|row| row.cold.as_ref().is_some_and(is)).count();
    let measured = of(|cold| matches!(cold, Cold::Measured(_)));
    let refused = of(|cold| matches!(cold, Cold::NotApplicable { .. }));
    check(
        "operands rotated to measure cold caches too",
        !rows.is_empty() && measured + refused == rows.len(),
        format!(
            "{measured} of {} points; {refused} say why that cannot be, most as too large for the \
             cache",
            rows.len()
        ),
    )
}

fn coldness(calibration: Option<&Calibration>) -> Check {
    let ratio = calibration.and_then(|found| found.cold_over_warm);
    let detail = match ratio {
        Some(ratio) => format!(
            "a copy takes {ratio:.2} times as long on rotating buffers as within the L2 cache"
        ),
        None => "not calibrated".to_owned(),
    };
    check(
        "rotation proven to make caches cold",
        ratio.is_some_and(|ratio| ratio >= LEAST_COLD_OVER_WARM),
        detail,
    )
}

/// The checks in one line: how many of those that depend on the run hold, and which do not.
pub fn line(checks: &[Check]) -> String {
    let count = |outcome: Outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (held, failed) = (count(Outcome::Yes), count(Outcome::No));
    let fails = checks.iter().filter(|check| check.outcome == Outcome::No);
    let fails: Vec<&str> = fails.map(|check| &*check.check).collect();
    let no = if failed == 0 { String::new() } else { format!("; no: {}", fails.join(", ")) };
    format!("validity checks: {held} of {} yes{no}", held + failed)
}
