//! What measuring shares with the GPU: words of host memory, and the cycles counted in them.

use super::Mapped;
use std::cell::Cell;

/// Words of host memory: the gate, then the two stamps of a pair of words each.
pub(super) type Words = Mapped<5>;
pub(super) const GATE: usize = 4;

/// The host's side of the kernels `hold` and `stamp_cycles`.
pub(super) struct Timing {
    pub(super) words: Words,
    pub(super) ticket: Cell<u32>,
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
