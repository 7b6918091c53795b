//! L1: up to which rank is a low-rank pair faster than the dense layer it stands for?
//!
//! SVD compression puts two thin linear layers in the place of one. They have fewer parameters and
//! FLOPs below `in * out / (in + out)`, but the rank is the N of the first and the K of the second:
//! one that is no multiple of 8 may cost more than the dense layer.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("l1_low_rank_pair")
}
