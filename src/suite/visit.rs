//! A visit: one case in one round, from its plan to its samples, through Criterion.

use super::hush::Hush;
use crate::case::Case;
use crate::device::{Device, nvml::Monitor};
use crate::measurement::{DeviceTime, Sampler, Sampling};
use crate::plan::CaseError;
use crate::planner::Planner;
use crate::record::{ErrorKind, Failure, Line, Protocol, Ran, Visit};
use crate::sdpa;
use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a visit needs, whichever case it is.
pub struct Visitor {
    /// Where to measure.
    pub device: Device,
    /// Makes the plans.
    pub planner: Planner,
    /// Criterion's clock.
    pub time: DeviceTime,
    /// Launches and rounds.
    pub protocol: Protocol,
    /// The card's state, where NVML tells it.
    pub monitor: Option<Monitor>,
}

/// Which round, and what came before.
pub struct Round<'a> {
    /// From 0.
    pub number: usize,
    /// In the last round Criterion gets the samples of all rounds, and is heard.
    pub last: bool,
    /// The visits of this case in the earlier rounds.
    pub earlier: &'a [&'a Visit],
}

/// Criterion's warm-up. The sampler has its own; this one only tells Criterion how long an iteration takes, which
/// decides how many it asks for.
const PAUSE: Duration = Duration::from_millis(2);

impl Visitor {
    /// Times `case`, and returns the line for the journal.
    ///
    /// # Errors
    /// If the output streams cannot be redirected. A case that cannot be timed is no error but a [`Failure`].
    pub fn visit(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
        round: &Round,
    ) -> std::io::Result<Line> {
        let (started_at, start) = (jiff::Timestamp::now(), Instant::now());
        let hush = if round.last { Hush::Status } else { Hush::All };
        let timed = hush.during(|| self.time_case(criterion, case, round))?;
        Ok(match timed {
            Ok(timed) => Line::Visit(Visit {
                case_id: case.id.clone(),
                round: round.number,
                started_at: started_at.to_string(),
                wall_s: start.elapsed().as_secs_f64(),
                samples_ms: timed.samples_ms,
                launches_per_sample: timed.launches_per_sample,
                warmup_launches: timed.warmup_launches,
                ran: timed.ran,
                clocks: self.monitor.as_ref().and_then(Monitor::clocks),
            }),
            Err(CaseError { kind, message }) => Line::Failure(Failure {
                case_id: case.id.clone(),
                round: round.number,
                error_kind: kind,
                error: message,
            }),
        })
    }

    /// Prepares and verifies `case`, then launches it once through Criterion: for `--test` and `--profile-time`.
    ///
    /// # Errors
    /// Why the case does not run.
    pub fn try_once(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
    ) -> Result<(), CaseError> {
        let mut planned = self.planner.plan(case)?;
        planned.plan.verify()?;
        let plan = planned.plan.as_mut();
        let time = &self.time;
        bench(&mut group_of(criterion, case), case, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = time.start();
                let launched = (0..iterations).try_for_each(|_| plan.launch());
                let elapsed_ns = time.end(start);
                time.value_or_fault(launched.map(|()| elapsed_ns))
            });
        });
        time.take_fault().map_or(Ok(()), Err)
    }

    fn time_case(
        &self,
        criterion: &mut Criterion<DeviceTime>,
        case: &Case,
        round: &Round,
    ) -> Result<Timed, CaseError> {
        let mut planned = self.planner.plan(case)?;
        let verification = planned.plan.verify()?;
        // Rounds are pooled, so they have to agree on what a sample is.
        let launches_per_sample = round.earlier.first().map(|visit| visit.launches_per_sample);
        let clock = self.time.clock();
        let mut sampler =
            Sampler::prepare(&self.device, clock, planned.plan.as_mut(), launches_per_sample)?;
        let kernels = sampler.kernels()?;
        let (backend_selected, backend_reason) = match planned.backend {
            Some(chosen) => {
                sdpa::prove(&chosen, &kernels)?;
                (Some(chosen.route.backend.name().to_owned()), chosen.reason)
            }
            None => (None, None),
        };
        let sampling = Sampling::of(&self.protocol, sampler.launches_per_sample);
        let earlier = if round.last { round.earlier } else { &[] };
        let mut recorder = Recorder {
            time: &self.time,
            earlier_ms: criterion_samples(earlier, sampling.samples_each),
            samples_ms: Vec::new(),
            warmup: self.protocol.warmup,
            warmup_launches: 0,
            sampling,
            sampler,
            paused: false,
        };

        let mut group = group_of(criterion, case);
        group.sampling_mode(SamplingMode::Flat);
        group.sample_size(sampling.criterion_samples + recorder.earlier_ms.len());
        group.throughput(Throughput::Elements(case.operation.flops() as u64));
        // Criterion divides this time by the samples and the pause, and rounds up: `samples_each` iterations.
        let samples = (sampling.criterion_samples + recorder.earlier_ms.len()) as f64;
        group.warm_up_time(Duration::from_nanos(1));
        group.measurement_time(PAUSE.mul_f64(samples * (sampling.samples_each as f64 - 0.4)));
        bench(&mut group, case, |bencher| {
            bencher.iter_custom(|iterations| recorder.record(iterations))
        });
        drop(group);

        if let Some(fault) = self.time.take_fault() {
            return Err(fault);
        }
        if recorder.samples_ms.is_empty() {
            return Err(CaseError {
                kind: ErrorKind::Skipped,
                message: "Criterion took no sample".to_owned(),
            });
        }
        let ran = Ran { kernels, backend_selected, backend_reason, verification };
        Ok(Timed {
            samples_ms: recorder.samples_ms,
            launches_per_sample: recorder.sampler.launches_per_sample,
            warmup_launches: recorder.warmup_launches,
            ran,
        })
    }
}

struct Timed {
    samples_ms: Vec<f64>,
    launches_per_sample: usize,
    warmup_launches: usize,
    ran: Ran,
}

/// Answers Criterion's calls. An iteration, to Criterion, is one of our samples; its value is nanoseconds per launch.
struct Recorder<'a> {
    time: &'a DeviceTime,
    sampler: Sampler<'a>,
    sampling: Sampling,
    /// What Criterion still has to be told of the earlier rounds: a value for each of its samples.
    earlier_ms: VecDeque<f64>,
    /// The samples of this round.
    samples_ms: Vec<f64>,
    /// Launches to make before the first sample.
    warmup: usize,
    warmup_launches: usize,
    paused: bool,
}

impl Recorder<'_> {
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
        let taken = self.take();
        self.time.value_or_fault(taken.map(|mean_ms| mean_ms * 1e6 * iterations as f64))
    }

    /// The mean of the samples that make one of Criterion's.
    fn take(&mut self) -> Result<f64, CaseError> {
        if self.samples_ms.is_empty() {
            self.sampler.warm_up(self.warmup)?;
            self.warmup_launches = self.sampler.launches;
        }
        let samples_ms = self.sampler.take(self.sampling.samples_each)?;
        let mean_ms = samples_ms.iter().sum::<f64>() / samples_ms.len() as f64;
        self.samples_ms.extend(samples_ms);
        Ok(mean_ms)
    }
}

/// The earlier rounds as Criterion saw them: means of `samples_each` samples.
fn criterion_samples(earlier: &[&Visit], samples_each: usize) -> VecDeque<f64> {
    let chunks = earlier.iter().flat_map(|visit| visit.samples_ms.chunks(samples_each));
    chunks.map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

fn group_of<'a>(
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
