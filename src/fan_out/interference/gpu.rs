//! One GPU, alone and beside the others.

use crate::device::clocks::Clocks;
use crate::journal::Run;
use crate::measure::record::Trial;
use crate::stats::{mean, median, median_ci95};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Serialize, Deserialize)]
pub struct Gpu {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub model: String,
    /// How much slower it is alone than the median of all GPUs, in per cent: the median over the
    /// cases. Absent for one GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone_vs_median_pct: Option<f64>,
    /// Time side by side over time alone: the median over the cases. Absent where no case was
    /// timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<f64>,
    /// Its 95 % confidence interval; absent for fewer than 6 cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowdown_ci95: Option<[f64; 2]>,
    pub alone: Conditions,
    pub together: Conditions,
    pub times: Vec<Times>,
}

/// A case on one GPU: the median over the trials, in ms.
#[derive(Serialize, Deserialize)]
pub struct Times {
    pub case_id: String,
    pub alone_ms: f64,
    pub together_ms: f64,
}

/// What may explain a slowdown. A key that the device has no value for is absent.
#[derive(Default, Serialize, Deserialize)]
pub struct Conditions {
    /// Mean SM clock over the trials, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<f64>,
    /// The most power read, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<u32>,
    /// The highest temperature read, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<u32>,
    pub throttle: Vec<String>,
    /// Median time that the host needs to enqueue a launch, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueue_us: Option<f64>,
    /// Mean wall-clock seconds of a trial: the host's work is in it, unlike in the times of the
    /// cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_s: Option<f64>,
    /// An fp16 GEMM at full load before the cases, in TFLOP/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fp16_tflops: Option<f64>,
    /// A copy of device memory before the cases, in GB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_gbs: Option<f64>,
}

/// Each GPU from its two runs; the trials side by side are those made while all were at theirs.
pub fn of_runs(names: &[String], cases: &[String], alone: &[Run], together: &[Run]) -> Vec<Gpu> {
    let common = common_time(together);
    let always = (Timestamp::MIN, Timestamp::MAX);
    let alone: Vec<Seen> = alone.iter().map(|run| Seen::of(run, always)).collect();
    let together: Vec<Seen> = together.iter().map(|run| Seen::of(run, common)).collect();
    let against = against_median(cases, &alone);
    let gpu = |(index, (alone, together)): (usize, (&Seen, &Seen))| {
        let times = |id: &String| {
            let (alone_ms, together_ms) = (alone.ms(id)?, together.ms(id)?);
            Some(Times { case_id: id.clone(), alone_ms, together_ms })
        };
        let times: Vec<Times> = cases.iter().filter_map(times).collect();
        let ratios: Vec<f64> = times.iter().map(|case| case.together_ms / case.alone_ms).collect();
        let env = &alone.run.header.env;
        Gpu {
            name: names[index].clone(),
            uuid: env["gpu"]["uuid"].as_str().map(str::to_owned),
            model: alone.run.header.device_name(),
            alone_vs_median_pct: against[index],
            slowdown: median(&ratios),
            slowdown_ci95: median_ci95(&ratios),
            alone: alone.conditions(),
            together: together.conditions(),
            times,
        }
    };
    alone.iter().zip(&together).enumerate().map(gpu).collect()
}

fn common_time(runs: &[Run]) -> (Timestamp, Timestamp) {
    let spans = runs.iter().map(|run| run.trials.iter().filter_map(span));
    spans.fold((Timestamp::MIN, Timestamp::MAX), |(start, end), trials| {
        let trials: Vec<_> = trials.collect();
        let first = trials.iter().map(|(start, _)| *start).min().unwrap_or(start);
        let last = trials.iter().map(|(_, end)| *end).max().unwrap_or(end);
        (start.max(first), end.min(last))
    })
}

fn span(trial: &Trial) -> Option<(Timestamp, Timestamp)> {
    let start: Timestamp = trial.started_at.parse().ok()?;
    let end = start.checked_add(std::time::Duration::try_from_secs_f64(trial.wall_s).ok()?).ok()?;
    Some((start, end))
}

struct Seen<'a> {
    run: &'a Run,
    trials: Vec<&'a Trial>,
}

impl<'a> Seen<'a> {
    fn of(run: &'a Run, (from, to): (Timestamp, Timestamp)) -> Self {
        let inside =
            |trial: &&Trial| span(trial).is_some_and(|(start, end)| from <= start && end <= to);
        Seen { run, trials: run.trials.iter().filter(inside).collect() }
    }

    fn ms(&self, id: &str) -> Option<f64> {
        let own = self.trials.iter().filter(|trial| trial.case_id == id);
        median(&own.filter_map(|trial| median(&trial.samples_ms)).collect::<Vec<_>>())
    }

    fn conditions(&self) -> Conditions {
        let clocks: Vec<&Clocks> =
            self.trials.iter().filter_map(|trial| trial.clocks.as_ref()).collect();
        let throttle: BTreeSet<&String> =
            clocks.iter().flat_map(|clocks| &clocks.throttle).collect();
        let peaks = self.run.header.calibration.and_then(|calibration| calibration.peaks);
        Conditions {
            sm_mhz: mean(&clocks.iter().map(|clocks| clocks.best_sm_mhz()).collect::<Vec<_>>()),
            power_w: clocks.iter().map(|clocks| clocks.power_w).max(),
            temperature_c: clocks.iter().map(|clocks| clocks.temperature_c).max(),
            throttle: throttle.into_iter().cloned().collect(),
            enqueue_us: median(
                &self.run.secondary.iter().map(|other| other.enqueue_us).collect::<Vec<_>>(),
            ),
            trial_s: mean(&self.trials.iter().map(|trial| trial.wall_s).collect::<Vec<_>>()),
            fp16_tflops: peaks.map(|peaks| peaks.fp16_tflops),
            copy_gbs: peaks.map(|peaks| peaks.copy_gbs),
        }
    }
}

/// How much slower each is than the median GPU, in per cent, over the cases that all timed.
fn against_median(cases: &[String], alone: &[Seen]) -> Vec<Option<f64>> {
    let mut differences = vec![Vec::new(); alone.len()];
    for id in cases.iter().filter(|_| alone.len() > 1) {
        let times: Option<Vec<f64>> = alone.iter().map(|seen| seen.ms(id)).collect();
        let Some(times) = times else { continue };
        let Some(middle) = median(&times) else { continue };
        for (own, ms) in differences.iter_mut().zip(times) {
            own.push((ms / middle - 1.0) * 100.0);
        }
    }
    differences.iter().map(|own| median(own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{header, trial_of};
    use serde_json::{from_value, json};

    /// A run of trials, each with its case, the second in which it began, how long it took, and a
    /// time.
    fn run(trials: &[(&str, u32, f64, f64)]) -> Run {
        let trial = |&(case_id, second, wall_s, ms): &(&str, u32, f64, f64)| {
            let clocks = json!({
                "sm_mhz": 1000 + second, "power_w": second, "temperature_c": 40, "throttle": [],
            });
            Trial {
                started_at: format!("2026-01-01T00:00:{second:02}Z"),
                wall_s,
                clocks: from_value(clocks).unwrap(),
                ..trial_of(case_id, second as usize, vec![ms])
            }
        };
        Run {
            header: header(),
            trials: trials.iter().map(trial).collect(),
            secondary: Vec::new(),
            energy: Vec::new(),
            failures: Vec::new(),
            starts: Vec::new(),
            end: None,
            path: Default::default(),
        }
    }

    #[test]
    fn side_by_side_is_while_all_are_at_work() {
        let cases = ["a", "b"].map(str::to_owned);
        let names = ["cuda:0", "cuda:1"].map(str::to_owned);
        let alone = [
            run(&[("a", 0, 1.0, 1.0), ("b", 1, 1.0, 2.0)]),
            run(&[("a", 10, 1.0, 1.1), ("b", 11, 1.0, 2.2)]),
        ];
        // The first begins at 20 and ends at 26, the second begins at 22 and ends at 30.
        let together = [
            run(&[("a", 20, 1.0, 9.0), ("a", 23, 1.0, 1.2), ("b", 25, 1.0, 2.6)]),
            run(&[("a", 22, 1.0, 1.1), ("b", 25, 2.0, 99.0), ("b", 29, 1.0, 9.0)]),
        ];
        let gpus = of_runs(&names, &cases, &alone, &together);
        let times = |gpu: &Gpu| -> Vec<_> {
            gpu.times.iter().map(|case| (case.alone_ms, case.together_ms)).collect()
        };
        assert_eq!(times(&gpus[0]), [(1.0, 1.2), (2.0, 2.6)], "what began too early is left out");
        assert_eq!(times(&gpus[1]), [(1.1, 1.1)], "and what ended too late");
        assert!((gpus[0].slowdown.unwrap() - 1.25).abs() < 1e-12);
        let off = gpus[1].alone_vs_median_pct.unwrap();
        assert!((off - 100.0 * (1.1 / 1.05 - 1.0)).abs() < 1e-9, "{off}");
        let Conditions { sm_mhz, power_w, trial_s, .. } = &gpus[0].together;
        assert_eq!((*sm_mhz, *power_w, *trial_s), (Some(1024.0), Some(25), Some(1.0)));

        let one = of_runs(&names[..1], &cases, &alone[..1], &alone[..1]);
        assert_eq!((one[0].alone_vs_median_pct, one[0].slowdown), (None, Some(1.0)));
        let never = of_runs(&names, &cases, &alone, &alone);
        assert!(never.iter().all(|gpu| gpu.slowdown.is_none() && gpu.times.is_empty()));
    }
}
