//! Whether a build got slower, or a card is slower than others of its model.
//!
//! ```text
//! run folders, Criterion's baselines -> side -> stored: ratios, verdicts -+
//!                                                                         +-> Comparison -> output
//! two builds -> gate: pairs of processes -> pair2: screen, confirmation --+
//!
//! a card's runs, a published night -> reference: classes, verdicts -> CardComparison -> its output
//! ```
//!
//! `compare` reads what was measured before, in seconds. `gate` measures both builds in turn, and
//! so detects changes a third as large. Nothing here knows of CUDA: a gate runs benches as a user
//! does, and reads their journals.

mod clock;
pub mod comparison;
mod equal_clocks;
pub(crate) mod gate;
mod host;
pub(crate) mod output;
pub(crate) mod pair2;
mod ratio;
pub mod reference;
pub mod side;
pub mod stored;

pub use comparison::Verdict;
