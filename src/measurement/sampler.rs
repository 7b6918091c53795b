//! The number of record: how a plan is warmed up, and how its samples are taken.
//!
//! On a GPU a sample is one replay of a CUDA graph between two events. An event pair costs 2 to 3 us, and a short
//! launch by itself is timed with the host in it; so the graph of a short operation holds as many launches as make
//! the sample [`SAMPLE_NS`] long. On the CPU a sample is that many calls in a row.

use crate::device::cuda::Graph;
use crate::device::{Clock, Cuda, Device, Mark};
use crate::plan::{CaseError, Plan};
use crate::record::{Kernel, Protocol};

/// Samples last at least 300 us, unless one launch does already. They are made for a third more: the card may raise its
/// clock by that much after the estimate, from 1470 to 1980 MHz on an H200.
const SAMPLE_NS: f64 = 400_000.0;
/// Samples in a trial, at least.
const MIN_SAMPLES: usize = 20;
/// Launches that one graph holds at most, should an operation take next to no time.
const MAX_LAUNCHES: usize = 1000;
/// Samples enqueued before the host waits for them.
const IN_FLIGHT: usize = 32;
/// The GPU spins this long before the first of them: else the host's way from the first mark to the launch, 0.6 us
/// on an H200, would be part of that sample.
const LEAD_IN_NS: u64 = 20_000;
/// Launches of the first estimate, for operations under 1 ms.
const ESTIMATE_LAUNCHES: usize = 20;

/// Takes the samples of one plan.
pub struct Sampler<'a> {
    device: &'a Device,
    clock: &'a Clock,
    plan: &'a mut dyn Plan,
    unit: Unit,
    /// Launches that a sample averages over.
    pub launches_per_sample: usize,
    /// Launches made so far, whatever for.
    pub launches: usize,
}

/// What is put between the two marks of a sample.
enum Unit {
    /// The plan's launches one by one.
    Calls,
    /// Captured launches.
    Graph(Graph),
}

/// How many samples a trial takes, and how many of them Criterion sees as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Criterion's samples in a trial: its least.
    pub criterion_samples: usize,
    /// Our samples averaged in each: at least 2, for Criterion complains where it is 1.
    pub samples_each: usize,
}

impl Sampling {
    /// At least `measure` launches and 20 samples, in 10 of Criterion's.
    pub fn of(protocol: &Protocol, launches_per_sample: usize) -> Self {
        let samples = protocol.measure.div_ceil(launches_per_sample).max(MIN_SAMPLES);
        Sampling { criterion_samples: 10, samples_each: samples.div_ceil(10) }
    }
}

impl<'a> Sampler<'a> {
    /// Finds how many launches make a sample, unless that is given.
    ///
    /// # Errors
    /// What the driver or the library reports, a launch that cannot be captured among it.
    pub fn prepare(
        device: &'a Device,
        clock: &'a Clock,
        plan: &'a mut dyn Plan,
        launches_per_sample: Option<usize>,
    ) -> Result<Self, CaseError> {
        let mut sampler =
            Sampler { device, clock, plan, unit: Unit::Calls, launches_per_sample: 1, launches: 0 };
        // The first launch loads modules and may choose kernels: it tells nothing of the second.
        sampler.time_samples(1)?;
        sampler.launches_per_sample = match launches_per_sample {
            Some(launches) => launches,
            None => {
                let launch_ns = sampler.estimate_launch_ns()?;
                ((SAMPLE_NS / launch_ns).ceil() as usize).clamp(1, MAX_LAUNCHES)
            }
        };
        sampler.unit = sampler.unit_of(sampler.launches_per_sample)?;
        Ok(sampler)
    }

    /// At least `launches` launches that are not recorded; samples have to follow at once.
    ///
    /// # Errors
    /// What the driver or the library reports.
    pub fn warm_up(&mut self, launches: usize) -> Result<(), CaseError> {
        let samples = launches.div_ceil(self.launches_per_sample).max(1);
        self.take(samples).map(drop)
    }

    /// `count` samples, in milliseconds per launch, in the order taken.
    ///
    /// # Errors
    /// What the driver or the library reports.
    pub fn take(&mut self, count: usize) -> Result<Vec<f64>, CaseError> {
        let launches = self.launches_per_sample as f64;
        let mut samples_ms = Vec::with_capacity(count);
        while samples_ms.len() < count {
            let times_ns = self.time_samples((count - samples_ms.len()).min(IN_FLIGHT))?;
            // A clock that did not move says no more than that the sample is shorter than its tick.
            samples_ms
                .extend(times_ns.into_iter().map(|time_ns| time_ns.max(1.0) / launches / 1e6));
        }
        Ok(samples_ms)
    }

    /// The kernels of one launch, by capturing one; none on the CPU.
    ///
    /// # Errors
    /// What the driver or the library reports.
    pub fn kernels(&mut self) -> Result<Vec<Kernel>, CaseError> {
        match self.device {
            Device::Cpu => Ok(Vec::new()),
            Device::Cuda(cuda) => capture(cuda, self.plan, 1)?.kernels(),
        }
    }

    /// One launch, alone if that takes a millisecond or more; else the mean of a few, without the host's part.
    fn estimate_launch_ns(&mut self) -> Result<f64, CaseError> {
        let alone_ns = self.time_samples(1)?[0];
        if alone_ns >= 1e6 {
            return Ok(alone_ns);
        }
        self.launches_per_sample = ESTIMATE_LAUNCHES;
        self.unit = self.unit_of(ESTIMATE_LAUNCHES)?;
        // The least of them: one held up by the host or a slow clock would make all samples too short.
        let least_ns = self.time_samples(3)?.into_iter().fold(f64::INFINITY, f64::min);
        Ok((least_ns / ESTIMATE_LAUNCHES as f64).max(1.0))
    }

    fn unit_of(&mut self, launches: usize) -> Result<Unit, CaseError> {
        match self.device {
            Device::Cpu => Ok(Unit::Calls),
            Device::Cuda(cuda) => Ok(Unit::Graph(capture(cuda, self.plan, launches)?)),
        }
    }

    /// Durations of `count` samples in nanoseconds. All are enqueued before the first is waited for.
    fn time_samples(&mut self, count: usize) -> Result<Vec<f64>, CaseError> {
        if let Device::Cuda(cuda) = self.device {
            cuda.kernels().spin(cuda.stream(), LEAD_IN_NS)?;
        }
        let marks: Vec<(Mark, Mark)> = (0..count)
            .map(|_| {
                let start = self.clock.mark()?;
                match &self.unit {
                    Unit::Calls => {
                        (0..self.launches_per_sample).try_for_each(|_| self.plan.launch())?
                    }
                    Unit::Graph(graph) => graph.launch()?,
                }
                Ok((start, self.clock.mark()?))
            })
            .collect::<Result<_, CaseError>>()?;
        self.launches += count * self.launches_per_sample;
        marks.iter().map(|(start, end)| self.clock.elapsed_ns(start, end)).collect()
    }
}

fn capture(cuda: &Cuda, plan: &mut dyn Plan, launches: usize) -> Result<Graph, CaseError> {
    Graph::capture(cuda, launches, || plan.launch())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Verification;
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    struct Spin<'a>(&'a Cell<usize>, Duration);

    impl Plan for Spin<'_> {
        fn launch(&mut self) -> Result<(), CaseError> {
            self.0.set(self.0.get() + 1);
            let start = Instant::now();
            while start.elapsed() < self.1 {}
            Ok(())
        }

        fn verify(&mut self) -> Result<Verification, CaseError> {
            Ok(Verification { max_rel_error: 0.0, tolerance: 1.0, rows: 1 })
        }
    }

    const PROTOCOL: Protocol = Protocol { warmup: 50, measure: 200, trials: 3 };

    #[test]
    fn a_trial_has_its_launches_and_its_samples() {
        assert_eq!(
            Sampling::of(&PROTOCOL, 1),
            Sampling { criterion_samples: 10, samples_each: 20 }
        );
        assert_eq!(
            Sampling::of(&PROTOCOL, 49),
            Sampling { criterion_samples: 10, samples_each: 2 }
        );
        let short = Protocol { measure: 7, ..PROTOCOL };
        assert_eq!(Sampling::of(&short, 1).samples_each, 2);
    }

    #[test]
    fn warms_up_and_counts_every_launch() {
        let launches = Cell::new(0);
        let mut plan = Spin(&launches, Duration::from_micros(50));
        let mut sampler = Sampler::prepare(&Device::Cpu, &Clock::Host, &mut plan, None).unwrap();
        let before = launches.get();
        sampler.warm_up(30).unwrap();
        assert!(launches.get() - before >= 30);
        assert_eq!(sampler.launches, launches.get());
        let (before, each) = (launches.get(), sampler.launches_per_sample);
        let samples_ms = sampler.take(40).unwrap();
        assert_eq!(samples_ms.len(), 40);
        assert_eq!(launches.get() - before, 40 * each);
        // 50 us is the least a launch spins, whatever else the machine does.
        assert!(samples_ms.iter().all(|&sample_ms| sample_ms >= 0.05));
    }
}
