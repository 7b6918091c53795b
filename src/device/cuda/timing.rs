//! What measuring asks of the GPU itself: to hold launches back, and to count the cycles of its SM
//! clock.

use super::{Cuda, Mapped};
use crate::device::DeviceError;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The longest that launches are held back: the GPU goes on by itself, whatever became of the host.
const HOLD_LIMIT: Duration = Duration::from_millis(20);

/// Words of host memory: the gate, then the two stamps of a pair of words each.
pub(super) type Words = Mapped<5>;
const GATE: usize = 4;

/// The host's side of the kernels `hold` and `stamp_cycles`.
pub(super) struct Timing {
    pub(super) words: Words,
    ticket: Cell<u32>,
}

/// Cycles of an SM, and the nanoseconds they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycles {
    /// Counted by one SM.
    pub cycles: u64,
    /// By the GPU's timer.
    pub nanoseconds: u64,
}

impl Cycles {
    /// The mean clock in MHz; none if nothing was counted.
    pub fn mhz(&self) -> Option<f64> {
        (self.cycles > 0 && self.nanoseconds > 0)
            .then(|| self.cycles as f64 / self.nanoseconds as f64 * 1e3)
    }

    /// Both counts together.
    pub fn and(self, other: Cycles) -> Cycles {
        Cycles {
            cycles: self.cycles + other.cycles,
            nanoseconds: self.nanoseconds + other.nanoseconds,
        }
    }
}

impl Timing {
    pub(super) fn new(words: Words) -> Self {
        Timing { words, ticket: Cell::new(0) }
    }
}

impl Cuda {
    /// Enqueues what `enqueue` enqueues, and lets the GPU start with it only when all of it is
    /// there. False where the host took so long that the GPU did not wait for it; nothing is known
    /// of such launches.
    pub fn held_back<E: From<DeviceError>>(
        &self,
        enqueue: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let timing = &self.timing;
        let ticket = timing.ticket.get().wrapping_add(1);
        timing.ticket.set(ticket);
        let start = Instant::now();
        self.kernels().hold(
            self.stream(),
            timing.words.address(GATE),
            ticket,
            HOLD_LIMIT.as_nanos() as u64,
        )?;
        let enqueued = enqueue();
        timing.words.write(GATE, u64::from(ticket));
        // The GPU started to wait after `start`, so it has waited for less than this.
        enqueued.map(|()| start.elapsed() < HOLD_LIMIT)
    }

    /// Counts the SM's cycles while the GPU does what `enqueue` enqueues, and waits for that.
    pub fn counting<T, E: From<DeviceError>>(
        &self,
        enqueue: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Cycles), E> {
        let words = &self.timing.words;
        (0..4).for_each(|index| words.write(index, 0));
        let stamp = |index| {
            let blocks = 4 * self.properties().sm_count as u32;
            self.kernels().stamp_cycles(self.stream(), words.address(index), blocks)
        };
        stamp(0)?;
        let enqueued = enqueue()?;
        stamp(2)?;
        self.synchronize()?;
        // A stamp that stayed 0 saw no block on SM 0.
        let difference = |index: usize| {
            let (start, end) = (words.read(index), words.read(index + 2));
            if start == 0 { 0 } else { end.saturating_sub(start) }
        };
        Ok((enqueued, Cycles { cycles: difference(0), nanoseconds: difference(1) }))
    }
}

#[cfg(test)]
mod tests {
    use super::Cycles;

    #[test]
    fn a_clock_is_cycles_over_time() {
        let first = Cycles { cycles: 1_980_000, nanoseconds: 1_000_000 };
        assert_eq!(first.mhz(), Some(1980.0));
        let second = Cycles { cycles: 1_470_000, nanoseconds: 1_000_000 };
        assert_eq!(first.and(second).mhz(), Some(1725.0));
        assert_eq!(Cycles::default().mhz(), None);
    }
}
