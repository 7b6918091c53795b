//! How a plan is warmed up, and how the samples of its latency are taken.
//!
//! On a GPU a sample is one replay of a CUDA graph between two events. An event pair costs 2 to 3
//! us, and a short launch by itself is timed with the host in it; so the graph of a short operation
//! holds as many launches as make the sample [`SAMPLE_NS`] long. On the CPU a sample is that many
//! calls in a row.

use crate::device::cuda::{Cycles, Graph};
use crate::device::{Clock, Cuda, Device, Kernel, Mark};
use crate::ops::Plan;
use crate::workload::CaseError;

/// Samples are made to last this long, unless one launch does already: 300 us are asked for, and
/// the clock may rise.
const SAMPLE_NS: f64 = 350_000.0;
/// A sample that turns out shorter is made anew.
const SHORT_SAMPLE_NS: f64 = 310_000.0;
/// Launches that one graph holds at most, should an operation take next to no time.
const MAX_LAUNCHES: usize = 1000;
/// Samples enqueued before the host waits for them.
const IN_FLIGHT: usize = 32;
/// The GPU spins this long before the first of them, or the host's way from the first mark to the
/// launch, 0.6 us on an H200, would be part of that sample.
const LEAD_IN_NS: u64 = 20_000;

/// Takes the samples of one plan.
pub struct Sampler<'a> {
    pub(super) device: &'a Device,
    pub(super) clock: &'a Clock,
    pub(super) plan: &'a mut dyn Plan,
    /// The captured launches of a sample; none where they are made one by one.
    graph: Option<Graph>,
    /// Whether `launches_per_sample` is that of an earlier trial.
    is_known: bool,
    /// Launches that a sample averages over.
    pub launches_per_sample: usize,
    /// About what one of them takes, in nanoseconds.
    pub launch_ns: f64,
    /// Launches made so far, whatever for.
    pub launches: usize,
    /// Nanoseconds of all of them between events.
    pub gpu_ns: f64,
    /// SM cycles since the warm-up; nothing on the CPU.
    pub cycles: Cycles,
}

impl<'a> Sampler<'a> {
    /// Finds how many launches make a sample and how long one takes, unless both are `known` from
    /// an earlier trial.
    pub fn prepare(
        device: &'a Device,
        clock: &'a Clock,
        plan: &'a mut dyn Plan,
        known: Option<(usize, f64)>,
    ) -> Result<Self, CaseError> {
        let mut sampler = Sampler {
            device,
            clock,
            plan,
            graph: None,
            is_known: known.is_some(),
            launches_per_sample: 1,
            launch_ns: 1.0,
            launches: 0,
            gpu_ns: 0.0,
            cycles: Cycles::default(),
        };
        // The first launch loads modules and may choose kernels: it tells nothing of the second.
        sampler.time_samples(1)?;
        (sampler.launches_per_sample, sampler.launch_ns) = match known {
            Some(known) => known,
            None => {
                let launch_ns = sampler.estimate_launch_ns()?;
                (sampler.launches_in_sample(launch_ns), launch_ns)
            }
        };
        sampler.capture(sampler.launches_per_sample)?;
        Ok(sampler)
    }

    /// Launches that are not recorded, a sample at least, until there were `launches` in all;
    /// samples have to follow at once.
    ///
    /// The graph of a sample is captured by [`Sampler::prepare`], before others and not replayed
    /// until here: where it was replayed before others were made, or made after them, a third of
    /// the graphs took 0.24 us more for each of their kernels, the same ones in every run (H200,
    /// driver 580).
    pub fn warm_up(&mut self, launches: usize) -> Result<(), CaseError> {
        let missing = launches.saturating_sub(self.launches);
        let samples_ms = self.take(missing.div_ceil(self.launches_per_sample).max(1))?;
        let sample_ns = least(&samples_ms) * 1e6 * self.launches_per_sample as f64;
        // Launches speed up as the card and its caches warm up; a known number stays as it is.
        if !self.is_known && self.launches_per_sample > 1 && sample_ns < SHORT_SAMPLE_NS {
            self.launch_ns = least(&samples_ms) * 1e6;
            self.launches_per_sample = self.launches_in_sample(self.launch_ns);
            self.capture(self.launches_per_sample)?;
            self.take(1)?;
        }
        self.cycles = Cycles::default();
        Ok(())
    }

    /// `count` samples, in milliseconds per launch.
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
    pub fn kernels(&mut self) -> Result<Vec<Kernel>, CaseError> {
        match self.device {
            Device::Cpu => Ok(Vec::new()),
            Device::Cuda(cuda) => Ok(capture(cuda, self.plan, 1)?.kernels(cuda)?),
        }
    }

    /// One launch alone, if that is a sample; else the mean of as many as that makes one of.
    fn estimate_launch_ns(&mut self) -> Result<f64, CaseError> {
        // With the host in it: too long, so what follows is shorter than a sample.
        let alone_ns = self.time_samples(1)?[0];
        let launches = self.launches_in_sample(alone_ns);
        if launches == 1 {
            return Ok(alone_ns);
        }
        self.launches_per_sample = launches;
        self.capture(launches)?;
        // The least of them: one held up by the host or a slow clock would make all samples too
        // short.
        let least_ns = least(&self.time_samples(2)?);
        Ok((least_ns / launches as f64).max(1.0))
    }

    /// As many launches as make a sample; where sets of operands take turns, each has as many.
    fn launches_in_sample(&self, launch_ns: f64) -> usize {
        launches_in(SAMPLE_NS, launch_ns).next_multiple_of(self.plan.turns())
    }

    fn capture(&mut self, launches: usize) -> Result<(), CaseError> {
        if let Device::Cuda(cuda) = self.device {
            self.graph = Some(capture(cuda, self.plan, launches)?);
        }
        Ok(())
    }

    /// Enqueues the launches of a sample.
    pub(super) fn enqueue(&mut self) -> Result<(), CaseError> {
        match &self.graph {
            None => (0..self.launches_per_sample).try_for_each(|_| self.plan.launch())?,
            Some(graph) => graph.launch()?,
        }
        self.launches += self.launches_per_sample;
        Ok(())
    }

    /// Nanoseconds of `count` samples, all enqueued before the first is waited for.
    fn time_samples(&mut self, count: usize) -> Result<Vec<f64>, CaseError> {
        let device = self.device;
        let mut enqueue = || -> Result<Vec<(Mark, Mark)>, CaseError> {
            let sample = |_| {
                let start = self.clock.mark()?;
                self.enqueue()?;
                Ok((start, self.clock.mark()?))
            };
            (0..count).map(sample).collect()
        };
        let marks = match device {
            Device::Cpu => enqueue()?,
            Device::Cuda(cuda) => {
                cuda.kernels().spin(LEAD_IN_NS)?;
                let (marks, cycles) = cuda.counting(enqueue)?;
                self.cycles = self.cycles.and(cycles);
                marks
            }
        };
        let times_ns = self.clock.elapsed_each_ns(&marks)?;
        self.gpu_ns += times_ns.iter().sum::<f64>();
        Ok(times_ns)
    }
}

fn launches_in(sample_ns: f64, launch_ns: f64) -> usize {
    ((sample_ns / launch_ns).ceil() as usize).clamp(1, MAX_LAUNCHES)
}

fn least(times_ns: &[f64]) -> f64 {
    times_ns.iter().copied().fold(f64::INFINITY, f64::min)
}

fn capture(cuda: &Cuda, plan: &mut dyn Plan, launches: usize) -> Result<Graph, CaseError> {
    Graph::capture(cuda, launches, || plan.launch())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Verification;
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

    #[test]
    fn warms_up_and_counts_every_launch() {
        let launches = Cell::new(0);
        let mut plan = Spin(&launches, Duration::from_micros(50));
        let mut sampler = Sampler::prepare(&Device::Cpu, &Clock::Host, &mut plan, None).unwrap();
        let before = launches.get();
        sampler.warm_up(before + 30).unwrap();
        assert!(launches.get() - before >= 30);
        sampler.warm_up(1).unwrap();
        assert!(launches.get() - before >= 30 + sampler.launches_per_sample);
        assert_eq!(sampler.launches, launches.get());
        let (before, each) = (launches.get(), sampler.launches_per_sample);
        let samples_ms = sampler.take(40).unwrap();
        assert_eq!(samples_ms.len(), 40);
        assert_eq!(launches.get() - before, 40 * each);
        // 50 us is the least a launch spins, whatever else the machine does.
        assert!(samples_ms.iter().all(|&sample_ms| sample_ms >= 0.05));
    }
}
