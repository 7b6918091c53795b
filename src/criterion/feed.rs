//! Criterion gets the samples of a case that was measured before: it prints, saves its folder and
//! compares with baselines, as if it had asked for each.

use super::quiet;
use crate::measure::{CRITERION_SAMPLES, DeviceTime};
use crate::terminal::say;
use crate::workload::case::Case;
use anyhow::Result;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use std::sync::Once;
use std::time::{Duration, Instant};

/// What stands for Criterion's warm-up, by which it decides how many iterations a sample has.
const WARM_UP: Duration = Duration::from_micros(20);

/// A log that cannot be written is said once, and ends nothing.
pub fn feed(
    criterion: &mut Criterion<DeviceTime>,
    case: &Case,
    trials_ms: &[&[f64]],
) -> Result<()> {
    let values_ns = criterion_samples(trials_ms);
    let mut next = values_ns.iter();
    let mut is_warm = false;
    let ((), printed) = quiet::during(|| {
        let mut group = group_of(criterion, case);
        group.sampling_mode(SamplingMode::Flat);
        group.sample_size(values_ns.len());
        group.throughput(Throughput::Elements(case.operation.flops() as u64));
        // Criterion divides this time by the samples and the warm-up, and rounds up: one iteration.
        group.warm_up_time(Duration::from_nanos(1));
        group.measurement_time(WARM_UP.mul_f64(values_ns.len() as f64 * 0.6));
        bench(&mut group, case, |bencher| {
            bencher.iter_custom(|iterations| match std::mem::replace(&mut is_warm, true) {
                false => warm_up(),
                true => next.next().copied().unwrap_or_default() * iterations as f64,
            });
        });
    })?;
    if let Err(error) = printed {
        static SAID: Once = Once::new();
        let why = error.root_cause();
        SAID.call_once(|| {
            say(&format!(
                "night-sweep: Criterion's lines cannot be printed ({why}); the run goes on"
            ))
        });
    }
    Ok(())
}

/// Criterion's samples in nanoseconds: means of as many of ours each, trial by trial, so that their
/// mean is the mean of all.
fn criterion_samples(trials_ms: &[&[f64]]) -> Vec<f64> {
    let common = trials_ms.iter().fold(0, |common, trial| greatest_divisor(common, trial.len()));
    let each = (common / CRITERION_SAMPLES).max(1);
    let mean_ns = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64 * 1e6;
    trials_ms.iter().flat_map(|trial| trial.chunks(each)).map(mean_ns).collect()
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// Not a sleep, which would end late by the timer's slack.
fn warm_up() -> f64 {
    let start = Instant::now();
    while start.elapsed() < WARM_UP {
        std::hint::spin_loop();
    }
    WARM_UP.as_nanos() as f64
}

/// Lets Criterion analyse what it saved of the cases; nothing is measured.
pub fn analyse(criterion: &mut Criterion<DeviceTime>, cases: &[Case]) -> Result<()> {
    for case in cases {
        let ((), printed) = quiet::during(|| {
            bench(&mut group_of(criterion, case), case, |_| {
                unreachable!("Criterion measures nothing in this mode")
            });
        })?;
        printed?;
    }
    Ok(())
}

fn group_of<'a>(
    criterion: &'a mut Criterion<DeviceTime>,
    case: &Case,
) -> BenchmarkGroup<'a, DeviceTime> {
    criterion.benchmark_group(case.id.split('/').next().unwrap_or_default())
}

fn bench(
    group: &mut BenchmarkGroup<DeviceTime>,
    case: &Case,
    routine: impl FnMut(&mut criterion::Bencher<DeviceTime>),
) {
    let mut parts = case.id.splitn(3, '/').skip(1);
    let (series, point) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    group.bench_function(BenchmarkId::new(series, point), routine);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_counts_the_same() {
        let ramp = |count: usize| (1..=count).map(|i| i as f64).collect::<Vec<f64>>();
        for (lengths, samples) in
            [(vec![20, 20, 20], 30), (vec![10, 50], 60), (vec![30, 150], 60), (vec![7, 10], 17)]
        {
            let trials: Vec<Vec<f64>> = lengths.iter().map(|count| ramp(*count)).collect();
            let trials: Vec<&[f64]> = trials.iter().map(Vec::as_slice).collect();
            let fed = criterion_samples(&trials);
            assert_eq!(fed.len(), samples, "{lengths:?}");
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let all = trials.concat();
            assert!((mean(&fed) - 1e6 * mean(&all)).abs() < 1e-3, "{lengths:?}");
        }
    }
}
