//! How many launches and samples a trial has.

use super::record::{Protocol, ProtocolKind};
use super::{Sampler, Which};
use crate::stats::median_ci95;
use std::ops::RangeInclusive;

/// A trial has a multiple of so many samples: Criterion takes no fewer.
pub const CRITERION_SAMPLES: usize = 10;
/// Samples in a trial of the standard protocol, at least.
const MIN_SAMPLES: usize = 20;
/// Trials of the adaptive protocol: the first shows the scatter, the last takes what that asks for.
pub const ADAPTIVE_TRIALS: usize = 2;
/// Launches over all trials of the adaptive protocol, at least, where each is a sample.
const MIN_LAUNCHES: usize = 50;
/// The adaptive protocol aims at half the 95 % interval of the median as this share of the median.
const PRECISION: f64 = 0.005;
/// Its warm-up has no fewer launches, all that a trial makes before its samples included.
const MIN_WARM_UP: usize = 3;
/// How long launches warm up that are a sample each.
const WARM_UP_NS: f64 = 5e6;
/// What single launches may take of a trial, in all: long ones are fewer.
const ISOLATED_NS: f64 = 7e5;
const PER_CALL_NS: f64 = 3e5;
/// How many there are of them. 34 are two batches that the GPU is held back for, and more than 100
/// in three trials.
const ISOLATED: RangeInclusive<usize> = 10..=34;
const PER_CALL: RangeInclusive<usize> = 5..=12;

/// How a trial samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Launches before the first sample, at least.
    pub warmup: usize,
    /// Samples.
    pub samples: usize,
    /// Single launches held back, then timed.
    pub isolated: usize,
    /// Single launches timed on an idle GPU.
    pub per_call: usize,
}

impl Sampling {
    /// For the plan of `sampler`.
    ///
    /// The standard protocol takes at least `measure` launches and 20 samples. The adaptive one
    /// takes 10 samples (30 of single launches) in its first trial, and in its last as many as
    /// their scatter asks for: an interval narrows with the root of their number. Its single and
    /// cold launches are all in the first.
    pub fn of(protocol: &Protocol, sampler: &Sampler, which: Which) -> Self {
        let earlier_ms: Vec<f64> = match which.is_last {
            true => which.earlier.iter().flat_map(|trial| &trial.samples_ms).copied().collect(),
            false => Vec::new(),
        };
        Self::after(protocol, sampler.launches_per_sample, sampler.launch_ns, &earlier_ms)
    }

    /// `earlier_ms` are the samples of the trials before the last, and empty before that.
    fn after(
        protocol: &Protocol,
        launches_per_sample: usize,
        launch_ns: f64,
        earlier_ms: &[f64],
    ) -> Self {
        let in_time = |time_ns: f64, count: RangeInclusive<usize>| {
            ((time_ns / launch_ns) as usize).clamp(*count.start(), *count.end())
        };
        match protocol.kind {
            ProtocolKind::Standard => {
                let samples = protocol.measure.div_ceil(launches_per_sample).max(MIN_SAMPLES);
                Sampling {
                    warmup: protocol.warmup,
                    samples: samples.next_multiple_of(CRITERION_SAMPLES),
                    isolated: in_time(ISOLATED_NS, ISOLATED),
                    per_call: in_time(PER_CALL_NS, PER_CALL),
                }
            }
            ProtocolKind::Gate => {
                let samples = protocol.measure.div_ceil(launches_per_sample);
                Sampling {
                    warmup: protocol.warmup,
                    samples: samples.next_multiple_of(CRITERION_SAMPLES),
                    isolated: 0,
                    per_call: 0,
                }
            }
            ProtocolKind::Adaptive => {
                let each = match launches_per_sample {
                    1 => MIN_LAUNCHES.div_ceil(ADAPTIVE_TRIALS * CRITERION_SAMPLES),
                    _ => 1,
                };
                let first = usize::from(earlier_ms.is_empty());
                // Long launches draw power: the clock has to find its level again after another
                // case.
                let launches = match launches_per_sample {
                    1 => ((WARM_UP_NS / launch_ns) as usize).max(MIN_WARM_UP),
                    _ => MIN_WARM_UP,
                };
                Sampling {
                    warmup: launches.min(protocol.warmup),
                    samples: CRITERION_SAMPLES * each * factor(earlier_ms),
                    isolated: first * in_time(ISOLATED_NS, ISOLATED),
                    per_call: first * in_time(PER_CALL_NS, PER_CALL),
                }
            }
        }
    }
}

/// How many times the samples of the first trial the last one needs.
fn factor(earlier_ms: &[f64]) -> usize {
    const FACTORS: [usize; 4] = [1, 2, 5, 10];
    let Some([low, high]) = median_ci95(earlier_ms) else { return 1 };
    let half = (high - low) / (high + low);
    // In all there are `half^2 / PRECISION^2` times as many samples needed as there are.
    let needed = (half / PRECISION).powi(2) - 1.0;
    FACTORS.into_iter().find(|factor| *factor as f64 >= needed).unwrap_or(FACTORS[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Protocol =
        Protocol { kind: ProtocolKind::Standard, warmup: 50, measure: 200, trials: 3 };
    const ADAPTIVE: Protocol = Protocol { kind: ProtocolKind::Adaptive, ..STANDARD };

    fn samples(protocol: &Protocol, launches: usize, earlier_ms: &[f64]) -> usize {
        Sampling::after(protocol, launches, 1e6, earlier_ms).samples
    }

    #[test]
    fn a_standard_trial_has_its_launches_and_its_samples() {
        assert_eq!(samples(&STANDARD, 1, &[]), 200);
        assert_eq!(samples(&STANDARD, 49, &[]), 20);
        assert_eq!(samples(&Protocol { measure: 7, ..STANDARD }, 1, &[]), 20);
        assert_eq!(samples(&STANDARD, 1, &[1.0; 400]), 200);
    }

    #[test]
    fn adaptive_trials_have_50_launches_or_20_samples() {
        assert!(ADAPTIVE_TRIALS * samples(&ADAPTIVE, 1, &[]) >= 50);
        assert!(ADAPTIVE_TRIALS * samples(&ADAPTIVE, 49, &[]) >= 20);
    }

    #[test]
    fn the_last_adaptive_trial_grows_with_the_scatter() {
        let scattered = |scatter: f64| -> Vec<f64> {
            (0..10).map(|i| 1.0 + scatter * (f64::from(i * 7 % 10) - 4.5) / 4.5).collect()
        };
        assert_eq!(samples(&ADAPTIVE, 49, &scattered(0.001)), 10);
        let some = samples(&ADAPTIVE, 49, &scattered(0.01));
        assert!(some > 10 && some < 100, "{some}");
        assert_eq!(samples(&ADAPTIVE, 49, &scattered(0.5)), 100);
        for scatter in [0.001, 0.01, 0.02, 0.5] {
            assert_eq!(samples(&ADAPTIVE, 1, &scattered(scatter)) % CRITERION_SAMPLES, 0);
        }
    }

    #[test]
    fn long_launches_are_timed_singly_less_often() {
        let single = |launch_ns| {
            let sampling = Sampling::after(&STANDARD, 1, launch_ns, &[]);
            (sampling.isolated, sampling.per_call)
        };
        assert_eq!(single(5e3), (34, 12));
        assert_eq!(single(40e3), (17, 7));
        assert_eq!(single(1e9), (10, 5));
        // The last trial of the adaptive protocol has none.
        assert_eq!(Sampling::after(&ADAPTIVE, 49, 5e3, &[1.0; 10]).isolated, 0);
    }
}
