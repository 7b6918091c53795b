//! The energy of a launch, by the card's own counter, in a pass of its own after all others: the
//! launches of a case run for half a second, in which power and clock settle, and then for 1.5 s
//! between two ticks of the counter. All the while enough of them are enqueued that the GPU never
//! idles.

use super::Sampler;
use super::instruments::{Instruments, Which};
use super::record::{Energy, Spent};
use super::ticks::{Counter, Tick, used};
use super::trial::timing;
use crate::device::Mark;
use crate::device::nvml::Monitor;
use crate::workload::{Case, CaseError};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// How long launches run before the first tick that counts.
const WARM_UP_S: f64 = 0.5;
/// How far the two ticks are apart, at least.
const COUNTED_S: f64 = 1.5;
/// Batches that end within, at least: they say how long a launch takes.
const BATCHES: usize = 2;
/// All of it is given up after this long.
const LIMIT_S: f64 = 10.0;
/// Launches between two marks last so long, at least.
const BATCH_NS: f64 = 5e6;
/// So much is always enqueued, or what the driver holds, about a thousand launches: as long as
/// that the host may be away. At least two batches, of long launches.
const AHEAD_NS: f64 = 4e7;
/// Between two readings of the counter.
const PAUSE: Duration = Duration::from_micros(300);
/// NVML's power is a mean over the second before.
const POWER_LAG: Duration = Duration::from_secs(1);

/// Measures the energy of a launch of `case` by the counter of `card`; `which` has its trials.
pub fn energy(
    with: &Instruments,
    card: &Monitor,
    case: &Case,
    which: Which,
) -> Result<Energy, CaseError> {
    let (start, mut spent) = (Instant::now(), Spent::default());
    let mut planned = timing(&mut spent.planning_s, || with.plan(case))?;
    timing(&mut spent.filling_s, || with.device.synchronize())?;
    let measuring = Instant::now();
    let clock = with.time.clock();
    let sampler = Sampler::prepare(&with.device, clock, planned.plan.as_mut(), which.known())?;
    let began = Instant::now();
    let counted = Load::of(sampler).count(card, began)?;
    let telemetry = with.telemetry.as_ref();
    let polled_watts = telemetry
        .and_then(|telemetry| telemetry.mean_watts_since(counted.from.max(began + POWER_LAG)));
    // Launches enqueued beyond the last tick: theirs are the errors that are left.
    with.device.synchronize()?;
    spent.gpu_s = began.elapsed().as_secs_f64();
    spent.measuring_s = measuring.elapsed().as_secs_f64();
    let used = used(&counted.ticks)
        .ok_or_else(|| CaseError::unsupported("the energy counter was set back meanwhile"))?;
    Ok(Energy {
        case_id: case.id.clone(),
        joules: used.joules,
        seconds: used.seconds,
        launches: used.seconds / counted.launch_s,
        uncertainty_pct: used.uncertainty_pct,
        polled_watts,
        wall_s: start.elapsed().as_secs_f64(),
        spent,
    })
}

/// A load on the GPU, and what was seen of the counter under it.
struct Counted {
    /// The first is where counting begins, the last where it ends.
    ticks: Vec<Tick>,
    from: Instant,
    /// Mean seconds of a launch meanwhile, between events.
    launch_s: f64,
}

fn gone() -> CaseError {
    CaseError::unsupported("the GPU has no energy counter any more")
}

/// The launches of a case one after the other, in batches.
struct Load<'a> {
    sampler: Sampler<'a>,
    /// Samples in a batch.
    samples: usize,
    /// Batches that are always enqueued.
    ahead: usize,
    /// Ends of the batches that are enqueued.
    in_flight: VecDeque<Mark>,
    /// How many batches are done since the GPU was last idle, and the end of the last.
    done: Option<(usize, Mark)>,
}

impl<'a> Load<'a> {
    fn of(sampler: Sampler<'a>) -> Self {
        let sample_ns = sampler.launch_ns * sampler.launches_per_sample as f64;
        let samples = (BATCH_NS / sample_ns).ceil().max(1.0) as usize;
        let ahead = (AHEAD_NS / (samples as f64 * sample_ns)).ceil().max(2.0) as usize;
        Load { sampler, samples, ahead, in_flight: VecDeque::new(), done: None }
    }

    /// Enqueues as many batches as are done. Whether all were, so that the GPU may have been idle.
    fn keep_busy(&mut self) -> Result<bool, CaseError> {
        while let Some(mark) = self.in_flight.front()
            && self.sampler.clock.is_reached(mark)?
        {
            let before = self.done.take().map_or(0, |(batches, _)| batches);
            self.done = self.in_flight.pop_front().map(|mark| (before + 1, mark));
        }
        let mut has_run_dry = false;
        for _ in self.in_flight.len()..self.ahead {
            // Enqueuing waits for the GPU where the driver holds no more, and the host may be away.
            let is_idle = match self.in_flight.back() {
                Some(last) => self.sampler.clock.is_reached(last)?,
                None => true,
            };
            if is_idle {
                // A launch after it would seem longer.
                (has_run_dry, self.done) = (true, None);
                self.in_flight.clear();
            }
            (0..self.samples).try_for_each(|_| self.sampler.enqueue())?;
            self.in_flight.push_back(self.sampler.clock.mark()?);
        }
        Ok(has_run_dry)
    }

    /// Runs until the counter has ticked twice far enough apart. Counting begins anew wherever the
    /// GPU may have been idle.
    fn count(mut self, card: &Monitor, began: Instant) -> Result<Counted, CaseError> {
        let read = card.energy_counter().ok_or_else(gone)?;
        // A thread of its own reads: what a reading takes is no time in which the queue runs dry.
        // Of short launches it is short, as the driver holds about a thousand of them.
        let (send, readings) = channel();
        let seconds = move || began.elapsed().as_secs_f64();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let asked_s = seconds();
                    let Some(millijoules) = read() else { break };
                    // Nobody listens any more once it is counted.
                    if send.send((asked_s, seconds(), millijoules)).is_err() {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                }
            });
            self.until_counted(readings, began)
        })
    }

    /// By readings of the counter: when each was asked for and answered, and its millijoules.
    fn until_counted(
        &mut self,
        readings: Receiver<(f64, f64, u64)>,
        began: Instant,
    ) -> Result<Counted, CaseError> {
        let mut counter = Counter::default();
        let mut ticks: Vec<Tick> = Vec::new();
        let mut first: Option<(usize, Mark)> = None;
        let (mut from, mut dry_spells) = (began, 0);
        while began.elapsed().as_secs_f64() < LIMIT_S {
            if self.keep_busy()? {
                dry_spells += 1;
                ticks.clear();
            }
            std::thread::sleep(PAUSE);
            // All that came while launches were enqueued: that waits for the GPU.
            loop {
                let (asked_s, answered_s, millijoules) = match readings.try_recv() {
                    Ok(reading) => reading,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(gone()),
                };
                let tick = counter.read(asked_s, answered_s, millijoules);
                let (Some(tick), Some(done)) = (tick, &self.done) else { continue };
                if tick.at_s < WARM_UP_S {
                    continue;
                }
                if ticks.is_empty() {
                    (first, from) = (Some(done.clone()), Instant::now());
                }
                ticks.push(tick);
                let Some((before, begin)) = &first else { continue };
                let batches = done.0 - before;
                if tick.at_s - ticks[0].at_s >= COUNTED_S && batches >= BATCHES {
                    let launches = batches * self.samples * self.sampler.launches_per_sample;
                    let launch_s = self.sampler.clock.elapsed_ns(begin, &done.1)? * 1e-9;
                    return Ok(Counted { ticks, from, launch_s: launch_s / launches as f64 });
                }
            }
        }
        Err(CaseError::unsupported(format!(
            "within {LIMIT_S} s there were no {COUNTED_S} s from one tick of the energy counter to \
             another in which the GPU never fell idle; it did {dry_spells} times: resume the run \
             on a quieter host to try again"
        )))
    }
}
