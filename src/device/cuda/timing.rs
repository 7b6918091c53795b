//! What measuring shares with the GPU: words of host memory, and the cycles counted in them.

use crate::device::DeviceError;
use cudarc::driver::{CudaContext, result, sys};
use std::cell::Cell;
use std::sync::Arc;

const WORDS: usize = 5;
/// Behind two stamps of a pair of words each.
pub(super) const GATE: usize = 4;

/// The host's side of the kernels `hold` and `stamp_cycles`: page-locked words of 64 bits, which
/// the GPU knows by the host's address.
pub(super) struct Timing {
    words: *mut u64,
    /// The memory belongs to this context.
    _context: Arc<CudaContext>,
    pub(super) ticket: Cell<u32>,
}

impl Timing {
    pub(super) fn new(context: &Arc<CudaContext>) -> Result<Self, DeviceError> {
        let bytes = WORDS * size_of::<u64>();
        // SAFETY: the size is not 0; the memory is freed when dropped.
        let words = unsafe { result::malloc_host(bytes, sys::CU_MEMHOSTALLOC_DEVICEMAP) }?.cast();
        let timing = Timing { words, _context: context.clone(), ticket: Cell::new(0) };
        (0..WORDS).for_each(|index| timing.write(index, 0));
        Ok(timing)
    }

    pub(super) fn read(&self, index: usize) -> u64 {
        assert!(index < WORDS);
        // SAFETY: inside the allocation and aligned; volatile, as the GPU may write it.
        unsafe { self.words.add(index).read_volatile() }
    }

    pub(super) fn write(&self, index: usize, word: u64) {
        assert!(index < WORDS);
        // SAFETY: inside the allocation and aligned; volatile, as the GPU may be waiting for it.
        unsafe { self.words.add(index).write_volatile(word) }
    }

    /// Of the word at `index`, for a kernel.
    pub(super) fn address(&self, index: usize) -> u64 {
        assert!(index < WORDS);
        self.words as u64 + (index * size_of::<u64>()) as u64
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        // SAFETY: allocated by malloc_host, freed once.
        let _ = unsafe { result::free_host(self.words.cast()) };
    }
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
