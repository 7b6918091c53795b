//! P1: what does padding an awkward dimension to an aligned one buy back, and what does it cost in
//! memory?
//!
//! An attention and two GEMMs are timed at their logical dimension and at larger ones, zeros beyond
//! the data. The tensors are kept padded, so no copy is timed. Beside that stands the same with
//! tensors that are not, where each launch pads the operands and cuts the result. Throughput counts
//! the useful work alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("p1_padding_rescue")
}
