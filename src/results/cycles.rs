//! SM cycles of a launch: its time by the clock that was counted while the samples of its trial
//! were taken. A card that is warmer is slower in time and equal in cycles.

use crate::measure::record::Trial;
use crate::stats::median;

/// The median over the samples of all trials; none where the clock of one is not known.
pub fn p50(trials: &[&Trial]) -> Option<f64> {
    let samples: Vec<Vec<f64>> = trials.iter().map(|trial| of(trial)).collect::<Option<_>>()?;
    median(&samples.concat())
}

/// The median of each trial.
pub fn of_trials(trials: &[&Trial]) -> Option<Vec<f64>> {
    trials.iter().map(|trial| median(&of(trial)?)).collect()
}

fn of(trial: &Trial) -> Option<Vec<f64>> {
    let mhz = trial.clocks.as_ref()?.counted_sm_mhz?;
    Some(trial.samples_ms.iter().map(|ms| ms * mhz * 1e3).collect())
}
