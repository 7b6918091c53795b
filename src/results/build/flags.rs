//! What makes the time of a row doubtful.

use crate::device::clocks::is_slowdown;
use crate::journal::Run;
use crate::measure::record::Trial;
use crate::stats;

/// `trial_spread_pct` above which a row is `unstable`.
const UNSTABLE_PCT: f64 = 2.0;

/// Difference of the SM clocks of the trials above which `clock_moved`.
const MOVED_PCT: f64 = 0.5;
/// Share of the settled clock under which a row is `below_settled_clock`.
const SETTLED_SHARE: f64 = 0.95;

pub fn flags(
    run: &Run,
    trials: &[&Trial],
    timing_raw: &[f64],
    trial_p50: &[f64],
    trial_sm_mhz: &[f64],
) -> Vec<String> {
    let mut reasons: Vec<&str> = trials
        .iter()
        .filter_map(|trial| trial.clocks.as_ref())
        .flat_map(|clocks| clocks.throttle.iter().map(String::as_str))
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    let is_power_cap =
        |reason: &&str| reason.to_uppercase().replace([' ', '-'], "_").contains("POWER_CAP");
    let slowdowns: Vec<&str> =
        reasons.iter().copied().filter(|reason| is_slowdown(reason)).collect();
    let throttled = format!("throttled: {}", slowdowns.join(", "));
    let differ = |values: &[f64], pct| stats::spread_pct(values).is_some_and(|found| found > pct);
    let settled = run.header.calibration.and_then(|calibration| calibration.settled_sm_mhz);
    let below =
        |mhz: &f64| settled.is_some_and(|settled| *mhz < SETTLED_SHARE * f64::from(settled));
    let flags = [
        ("fewer_trials", trials.len() < run.header.protocol.trials),
        ("unstable", differ(trial_p50, UNSTABLE_PCT)),
        ("drifting", stats::drifts(timing_raw)),
        ("power_capped", reasons.iter().any(is_power_cap)),
        (&throttled, !slowdowns.is_empty()),
        ("clock_moved", differ(trial_sm_mhz, MOVED_PCT)),
        ("below_settled_clock", trial_sm_mhz.iter().any(below)),
    ];
    flags.into_iter().filter(|(_, is_so)| *is_so).map(|(flag, _)| flag.to_owned()).collect()
}
