//! How many launches and samples a trial has.

use super::Sampler;
use super::record::{Protocol, ProtocolKind};

/// A trial has a multiple of so many samples: Criterion takes no fewer.
pub const CRITERION_SAMPLES: usize = 10;
/// Samples in a trial of the standard protocol, at least.
const MIN_SAMPLES: usize = 20;
/// Trials that the adaptive protocol makes of every case; what they leave open decides on more.
pub const ADAPTIVE_TRIALS: usize = 2;
/// A long warm-up has no fewer launches, all that a trial makes before its samples included.
const MIN_WARM_UP: usize = 3;
/// How long it and the samples take together, at least.
const TRIAL_NS: f64 = 9.5e6;
/// How a trial samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Launches before the first sample, at least.
    pub warmup: usize,
    /// Samples.
    pub samples: usize,
}

impl Sampling {
    /// For the plan of `sampler`.
    ///
    /// The standard protocol takes at least `measure` launches and 20 samples, that of a gate at
    /// least 10. The adaptive one takes 10: those of a trial agree with each other, so that more of
    /// them say no more. Both warm up for as long as it takes to make their trials as long as those
    /// of the standard protocol: a card that changes from case to case twice as often has another
    /// clock (H100: 1831 and 1874 MHz).
    pub fn of(protocol: &Protocol, sampler: &Sampler) -> Self {
        Self::with(protocol, sampler.launches_per_sample, sampler.launch_ns)
    }

    fn with(protocol: &Protocol, launches_per_sample: usize, launch_ns: f64) -> Self {
        let Protocol { warmup, measure, .. } = *protocol;
        let samples = |least: usize| {
            measure.div_ceil(launches_per_sample).max(least).next_multiple_of(CRITERION_SAMPLES)
        };
        let long = |samples: usize| {
            let samples_ns = (samples * launches_per_sample) as f64 * launch_ns;
            (((TRIAL_NS - samples_ns).max(0.0) / launch_ns) as usize).max(MIN_WARM_UP)
        };
        match protocol.kind {
            ProtocolKind::Standard => Sampling { warmup, samples: samples(MIN_SAMPLES) },
            ProtocolKind::Gate => {
                let samples = samples(CRITERION_SAMPLES);
                Sampling { warmup: warmup.max(long(samples)), samples }
            }
            ProtocolKind::Adaptive => {
                Sampling { warmup: long(CRITERION_SAMPLES), samples: CRITERION_SAMPLES }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Protocol =
        Protocol { kind: ProtocolKind::Standard, warmup: 50, measure: 200, trials: 3 };

    fn samples(protocol: &Protocol, launches: usize) -> usize {
        Sampling::with(protocol, launches, 1e6).samples
    }

    #[test]
    fn a_trial_has_its_launches_and_its_samples() {
        assert_eq!((samples(&STANDARD, 1), samples(&STANDARD, 49)), (200, 20));
        assert_eq!(samples(&Protocol { measure: 7, ..STANDARD }, 1), 20);
        let gate = Protocol { kind: ProtocolKind::Gate, warmup: 10, measure: 20, trials: 3 };
        assert_eq!((samples(&gate, 1), samples(&gate, 49)), (20, 10));
        assert_eq!(Sampling::with(&gate, 49, 7e3).warmup, 867);
    }

    #[test]
    fn an_adaptive_trial_is_short_and_warm() {
        let adaptive = Protocol { kind: ProtocolKind::Adaptive, ..STANDARD };
        let of = |launches, launch_ns| Sampling::with(&adaptive, launches, launch_ns);
        assert_eq!(of(49, 7e3), Sampling { warmup: 867, samples: 10 });
        assert_eq!(of(1, 5e5), Sampling { warmup: 9, samples: 10 });
        assert_eq!(of(1, 1e6), Sampling { warmup: 3, samples: 10 });
        assert_eq!(of(1, 1e9), Sampling { warmup: 3, samples: 10 });
    }
}
