//! How many launches and samples a trial has.

use super::record::{Protocol, ProtocolKind};
use super::{Sampler, Which};
use std::ops::RangeInclusive;

/// A trial has a multiple of so many samples: Criterion takes no fewer.
pub const CRITERION_SAMPLES: usize = 10;
/// Samples in a trial of the standard protocol, at least.
const MIN_SAMPLES: usize = 20;
/// Trials that the adaptive protocol makes of every case; what they leave open decides on more.
pub const ADAPTIVE_TRIALS: usize = 2;
/// Launches over these trials, at least, where each is a sample.
const MIN_LAUNCHES: usize = 50;
/// The warm-up of the adaptive protocol has no fewer launches, all that a trial makes before its samples included.
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
    /// takes 10 samples: those of a trial agree with each other, so that more of them say no more.
    /// Its single and cold launches are all in the first trial.
    pub fn of(protocol: &Protocol, sampler: &Sampler, which: Which) -> Self {
        let is_first = which.earlier.is_empty();
        Self::with(protocol, sampler.launches_per_sample, sampler.launch_ns, is_first)
    }

    fn with(
        protocol: &Protocol,
        launches_per_sample: usize,
        launch_ns: f64,
        is_first: bool,
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
                let first = usize::from(is_first);
                // Long launches draw power: the clock has to find its level again after another
                // case.
                let launches = match launches_per_sample {
                    1 => ((WARM_UP_NS / launch_ns) as usize).max(MIN_WARM_UP),
                    _ => MIN_WARM_UP,
                };
                Sampling {
                    warmup: launches.min(protocol.warmup),
                    samples: CRITERION_SAMPLES * each,
                    isolated: first * in_time(ISOLATED_NS, ISOLATED),
                    per_call: first * in_time(PER_CALL_NS, PER_CALL),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Protocol =
        Protocol { kind: ProtocolKind::Standard, warmup: 50, measure: 200, trials: 3 };
    const ADAPTIVE: Protocol = Protocol { kind: ProtocolKind::Adaptive, ..STANDARD };

    fn samples(protocol: &Protocol, launches: usize) -> usize {
        Sampling::with(protocol, launches, 1e6, false).samples
    }

    #[test]
    fn a_standard_trial_has_its_launches_and_its_samples() {
        assert_eq!(samples(&STANDARD, 1), 200);
        assert_eq!(samples(&STANDARD, 49), 20);
        assert_eq!(samples(&Protocol { measure: 7, ..STANDARD }, 1), 20);
    }

    #[test]
    fn adaptive_trials_have_50_launches_or_20_samples() {
        assert!(ADAPTIVE_TRIALS * samples(&ADAPTIVE, 1) >= 50);
        assert!(ADAPTIVE_TRIALS * samples(&ADAPTIVE, 49) >= 20);
    }

    #[test]
    fn a_gate_takes_the_latency_alone() {
        let gate = Protocol { kind: ProtocolKind::Gate, warmup: 10, measure: 20, trials: 3 };
        assert_eq!((samples(&gate, 1), samples(&gate, 49)), (20, 10));
        let sampling = Sampling::with(&gate, 49, 5e3, true);
        assert_eq!((sampling.isolated, sampling.per_call, sampling.warmup), (0, 0, 10));
    }

    #[test]
    fn long_launches_are_timed_singly_less_often() {
        let single = |launch_ns| {
            let sampling = Sampling::with(&STANDARD, 1, launch_ns, false);
            (sampling.isolated, sampling.per_call)
        };
        assert_eq!(single(5e3), (34, 12));
        assert_eq!(single(40e3), (17, 7));
        assert_eq!(single(1e9), (10, 5));
        // The later trials of the adaptive protocol have none.
        assert_eq!(Sampling::with(&ADAPTIVE, 49, 5e3, true).isolated, 34);
        assert_eq!(Sampling::with(&ADAPTIVE, 49, 5e3, false).isolated, 0);
    }
}
