//! What measuring asks of the GPU itself: to hold launches back, and to count the cycles of its SM
//! clock.

use super::Cuda;
use super::timing::{Cycles, GATE};
use crate::device::DeviceError;
use std::time::{Duration, Instant};

/// The longest that launches are held back, whatever becomes of the host.
const HOLD_LIMIT: Duration = Duration::from_millis(20);

impl Cuda {
    /// Enqueues what `enqueue` enqueues, and lets the GPU start only when all of it is there. False
    /// where the host took so long that the GPU did not wait for it.
    pub fn held_back<E: From<DeviceError>>(
        &self,
        enqueue: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let timing = &self.timing;
        let ticket = timing.ticket.get().wrapping_add(1);
        timing.ticket.set(ticket);
        let start = Instant::now();
        let (gate, limit_ns) = (timing.address(GATE), HOLD_LIMIT.as_nanos() as u64);
        self.kernels().hold(gate, ticket, limit_ns)?;
        let enqueued = enqueue();
        timing.write(GATE, u64::from(ticket));
        // The GPU started to wait after `start`, so it has waited for less than this.
        enqueued.map(|()| start.elapsed() < HOLD_LIMIT)
    }

    /// Counts the SM's cycles while the GPU does what `enqueue` enqueues, and waits for that.
    pub fn counting<T, E: From<DeviceError>>(
        &self,
        enqueue: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Cycles), E> {
        let words = &self.timing;
        (0..4).for_each(|index| words.write(index, 0));
        let stamp = |index| {
            let blocks = 4 * self.properties().sm_count as u32;
            self.kernels().stamp_cycles(words.address(index), blocks)
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
