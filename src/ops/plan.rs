//! A plan: an operation made ready, with its algorithm chosen and its buffers bound.

use crate::device::Algorithm;
use crate::workload::CaseError;
use serde::{Deserialize, Serialize};

/// An operation made ready to launch.
pub trait Plan {
    /// Enqueues one launch, without allocating or waiting; on the CPU it returns with the result.
    fn launch(&mut self) -> Result<(), CaseError>;

    /// Launches once into an output filled with NaN, and compares it with a float32 reference: an
    /// error if an element was not written, or is off by more than its type's tolerance.
    fn verify(&mut self) -> Result<Verification, CaseError>;

    /// The algorithm that a library chose, where it tells.
    fn algorithm(&self) -> Option<Algorithm> {
        None
    }

    /// Launches until the operands are those of the first again.
    fn turns(&self) -> usize {
        1
    }
}

/// One after the other, counted as one launch.
pub struct Sequence(pub Vec<Box<dyn Plan>>);

impl Plan for Sequence {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.0.iter_mut().try_for_each(|plan| plan.launch())
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        worst(self.0.iter_mut().map(|plan| plan.verify()))
    }
}

/// More sets of operands take longer to plan than to time.
pub const MAX_SETS: usize = 256;

/// How many sets of operands of `bytes` fill an L2 cache of `l2_bytes` twice: each is out of it
/// when its turn comes again.
pub fn sets_beyond_l2(bytes: f64, l2_bytes: u64) -> f64 {
    (2.0 * l2_bytes as f64 / bytes).ceil()
}

/// The same operation over sets of operands that take turns, so that none is in the cache when its
/// turn comes.
pub struct Rotating {
    sets: Vec<Box<dyn Plan>>,
    next: usize,
}

impl Rotating {
    /// Panics if there is no set.
    pub fn new(sets: Vec<Box<dyn Plan>>) -> Self {
        assert!(!sets.is_empty(), "there is a set of operands");
        Rotating { sets, next: 0 }
    }
}

impl Plan for Rotating {
    fn launch(&mut self) -> Result<(), CaseError> {
        let at = self.next;
        self.next = (at + 1) % self.sets.len();
        self.sets[at].launch()
    }

    /// Of one set: all hold the same data, and run the same kernels.
    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.sets[0].verify()
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.sets[0].algorithm()
    }

    fn turns(&self) -> usize {
        self.sets.len()
    }
}

/// The worst of several parts, their rows added up, or the first error.
pub fn worst(
    parts: impl Iterator<Item = Result<Verification, CaseError>>,
) -> Result<Verification, CaseError> {
    let mut worst = Verification { max_rel_error: 0.0, tolerance: 0.0, rows: 0 };
    for part in parts {
        let part = part?;
        worst.max_rel_error = worst.max_rel_error.max(part.max_rel_error);
        worst.tolerance = part.tolerance;
        worst.rows += part.rows;
    }
    Ok(worst)
}

/// How far the result lies from a float32 reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Largest `|out − sum| / √(sum² + Σ term²)` over the elements of the sampled rows, as
    /// [`verify`](crate::ops::verify) explains.
    pub max_rel_error: f64,
    /// What is accepted for this element type.
    pub tolerance: f64,
    /// Rows compared.
    pub rows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Writes down its number when it is launched.
    struct Numbered(usize, Rc<RefCell<Vec<usize>>>);

    impl Plan for Numbered {
        fn launch(&mut self) -> Result<(), CaseError> {
            self.1.borrow_mut().push(self.0);
            Ok(())
        }

        fn verify(&mut self) -> Result<Verification, CaseError> {
            Ok(Verification { max_rel_error: 0.0, tolerance: 1.0, rows: self.0 })
        }
    }

    #[test]
    fn sets_of_operands_take_turns() {
        let launched = Rc::new(RefCell::new(Vec::new()));
        let set = |number| Box::new(Numbered(number, Rc::clone(&launched))) as Box<dyn Plan>;
        let mut plan = Rotating::new((0..3).map(set).collect());
        assert_eq!(plan.turns(), 3);
        (0..7).for_each(|_| plan.launch().unwrap());
        assert_eq!(*launched.borrow(), [0, 1, 2, 0, 1, 2, 0]);
        // A whole layer is one launch of each of its operations.
        let mut layer = Rotating::new(vec![Box::new(Sequence(vec![set(5), set(6)]))]);
        layer.launch().unwrap();
        assert_eq!((launched.borrow()[7..].to_vec(), layer.turns()), (vec![5, 6], 1));
        assert_eq!(layer.verify().unwrap().rows, 11);
    }
}
