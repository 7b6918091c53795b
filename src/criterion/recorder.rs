//! A case through Criterion: what answers its calls while the case is measured.

use crate::device::error::CaseError;
use crate::measure::{DeviceTime, Sampler, Sampling};
use crate::workload::case::Case;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Criterion's warm-up. The sampler has its own; this one only tells Criterion how long an iteration takes, which
/// decides how many it asks for.
const PAUSE: Duration = Duration::from_micros(200);

/// Answers Criterion's calls. An iteration, to Criterion, is one of our samples; its value is nanoseconds per launch.
pub struct Recorder<'a> {
    time: &'a DeviceTime,
    /// What takes the samples.
    pub sampler: Sampler<'a>,
    sampling: Sampling,
    /// What Criterion still has to be told of the earlier trials: a value for each of its samples.
    earlier_ms: VecDeque<f64>,
    /// The samples of this trial.
    pub samples_ms: Vec<f64>,
    /// Those of them that Criterion was told of, in its own.
    told: usize,
    /// Launches before the first of them.
    pub warmup_launches: usize,
    paused: bool,
    /// When the warm-up began.
    pub started: Option<Instant>,
    /// Seconds of warming up and sampling; the rest is Criterion's.
    pub measuring_s: f64,
}

impl<'a> Recorder<'a> {
    /// For the samples of this trial; in the last one Criterion is told of those of the trials before as well.
    pub fn new(
        time: &'a DeviceTime,
        sampler: Sampler<'a>,
        sampling: Sampling,
        earlier_ms: &[f64],
    ) -> Self {
        Recorder {
            time,
            sampler,
            sampling,
            earlier_ms: criterion_samples(earlier_ms, sampling.samples_each),
            samples_ms: Vec::new(),
            told: 0,
            warmup_launches: 0,
            paused: false,
            started: None,
            measuring_s: 0.0,
        }
    }

    /// Has Criterion ask for all of them. Errors are left with the [`DeviceTime`].
    pub fn run(&mut self, criterion: &mut Criterion<DeviceTime>, case: &Case) {
        let Sampling { criterion_samples, samples_each, .. } = self.sampling;
        let samples = criterion_samples + self.earlier_ms.len();
        let mut group = group_of(criterion, case);
        group.sampling_mode(SamplingMode::Flat);
        group.sample_size(samples);
        group.throughput(Throughput::Elements(case.operation.flops() as u64));
        // Criterion divides this time by the samples and the pause, and trials up: `samples_each` iterations.
        group.warm_up_time(Duration::from_nanos(1));
        group.measurement_time(PAUSE.mul_f64(samples as f64 * (samples_each as f64 - 0.4)));
        bench(&mut group, case, |bencher| {
            bencher.iter_custom(|iterations| self.record(iterations));
        });
    }

    /// The value of `iterations` iterations.
    fn record(&mut self, iterations: u64) -> f64 {
        if !self.paused {
            self.paused = true;
            // Not a sleep, which would end late by the timer's slack.
            let start = Instant::now();
            while start.elapsed() < PAUSE {
                std::hint::spin_loop();
            }
            return PAUSE.as_nanos() as f64;
        }
        if let Some(earlier_ms) = self.earlier_ms.pop_front() {
            return earlier_ms * 1e6 * iterations as f64;
        }
        let start = Instant::now();
        let taken = self.take();
        self.measuring_s += start.elapsed().as_secs_f64();
        self.time.value_or_fault(taken.map(|mean_ms| mean_ms * 1e6 * iterations as f64))
    }

    /// The mean of the samples that make one of Criterion's. All of the trial are enqueued when it asks for the first: so
    /// the GPU does not fall idle, and its clock does not move, while Criterion is at work between two.
    fn take(&mut self) -> Result<f64, CaseError> {
        let Sampling { criterion_samples, samples_each, .. } = self.sampling;
        if self.told == self.samples_ms.len() {
            if self.started.is_none() {
                self.started = Some(Instant::now());
                self.sampler.warm_up(self.sampling.warmup)?;
                self.warmup_launches = self.sampler.launches;
            }
            self.samples_ms.extend(self.sampler.take(criterion_samples * samples_each)?);
        }
        let samples_ms = &self.samples_ms[self.told..self.told + samples_each];
        self.told += samples_each;
        Ok(samples_ms.iter().sum::<f64>() / samples_each as f64)
    }
}

/// The earlier trials as Criterion sees them: means of `samples_each` samples.
fn criterion_samples(earlier_ms: &[f64], samples_each: usize) -> VecDeque<f64> {
    let chunks = earlier_ms.chunks(samples_each);
    chunks.map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

/// The group of a case: the first part of its id.
pub fn group_of<'a>(
    criterion: &'a mut Criterion<DeviceTime>,
    case: &Case,
) -> BenchmarkGroup<'a, DeviceTime> {
    criterion.benchmark_group(case.id.split('/').next().unwrap_or_default())
}

/// Hands the case to Criterion under its id: group, series, point.
pub fn bench(
    group: &mut BenchmarkGroup<DeviceTime>,
    case: &Case,
    routine: impl FnMut(&mut criterion::Bencher<DeviceTime>),
) {
    let mut parts = case.id.splitn(3, '/').skip(1);
    let (series, point) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    group.bench_function(BenchmarkId::new(series, point), routine);
}
