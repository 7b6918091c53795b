//! The card watched by a thread, twenty times a second.

use super::nvml::Monitor;
use crate::device::Clocks;
use crate::stats::mean;
use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(50);
/// Readings kept: a minute's, longer than any trial.
const KEPT: usize = 1200;

type Readings = Arc<Mutex<VecDeque<(Instant, Clocks)>>>;

/// Readings of a card, taken until this is dropped.
pub struct Telemetry {
    readings: Readings,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// Starts to read.
    pub fn start(monitor: Arc<Monitor>) -> std::io::Result<Self> {
        let readings = Readings::default();
        let (stop, stopped) = channel::<()>();
        let kept = readings.clone();
        let thread = std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
            loop {
                if let Some(clocks) = monitor.clocks() {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() == KEPT {
                        kept.pop_front();
                    }
                    kept.push_back((Instant::now(), clocks));
                }
                if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Telemetry { readings, stop: Some(stop), thread: Some(thread) })
    }

    /// The card since `start`: the median clock, the most power and heat, all that throttled it; or
    /// else the latest reading. None before the first.
    pub fn since(&self, start: Instant) -> Option<Clocks> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let inside: Vec<&Clocks> =
            readings.iter().filter(|(at, _)| *at >= start).map(|(_, clocks)| clocks).collect();
        match inside.as_slice() {
            [] => readings.back().map(|(_, clocks)| clocks.clone()),
            inside => Some(together(inside)),
        }
    }

    /// The mean of the power readings in watts since `start`; none where there are none.
    pub fn mean_watts_since(&self, start: Instant) -> Option<f64> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let watts = readings.iter().filter(|(at, _)| *at >= start);
        let watts: Vec<f64> = watts.map(|(_, clocks)| f64::from(clocks.power_w)).collect();
        mean(&watts)
    }
}

fn together(readings: &[&Clocks]) -> Clocks {
    let mut clocks_mhz: Vec<u32> = readings.iter().map(|clocks| clocks.sm_mhz).collect();
    clocks_mhz.sort_unstable();
    let most = |of: fn(&Clocks) -> u32| readings.iter().map(|clocks| of(clocks)).max().unwrap_or(0);
    let mut throttle: Vec<String> =
        readings.iter().flat_map(|clocks| clocks.throttle.clone()).collect();
    throttle.sort_unstable();
    throttle.dedup();
    Clocks {
        sm_mhz: clocks_mhz[clocks_mhz.len() / 2],
        power_w: most(|clocks| clocks.power_w),
        temperature_c: most(|clocks| clocks.temperature_c),
        throttle,
        counted_sm_mhz: None,
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It panicked or it ended; there is nothing left to do with either.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_put_together() {
        let clocks = |sm_mhz, power_w, throttle: &[&str]| Clocks {
            sm_mhz,
            power_w,
            temperature_c: 40,
            throttle: throttle.iter().map(|&reason| reason.to_owned()).collect(),
            counted_sm_mhz: None,
        };
        let readings = [
            clocks(1980, 300, &[]),
            clocks(1470, 700, &["SW_POWER_CAP"]),
            clocks(1755, 690, &["SW_POWER_CAP", "HW_THERMAL_SLOWDOWN"]),
        ];
        let all = together(&readings.iter().collect::<Vec<_>>());
        assert_eq!((all.sm_mhz, all.power_w), (1755, 700));
        assert_eq!(all.throttle, ["HW_THERMAL_SLOWDOWN", "SW_POWER_CAP"]);
        assert!(all.is_slowed() && !readings[1].is_slowed());
    }
}
