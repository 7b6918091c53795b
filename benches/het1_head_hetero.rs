//! HET1: what does it cost that the heads of a layer differ in dimension?
//!
//! A layer with heads of one dimension is projected by one GEMM; heads of several need a GEMM for
//! each dimension. Each pattern is timed as those GEMMs one after the other. Timed as well: each
//! GEMM on its own, whose sum tells what the change-over costs; all of them in one grouped call;
//! all of them side by side; and one GEMM with every head padded to the largest dimension.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("het1_head_hetero")
}
