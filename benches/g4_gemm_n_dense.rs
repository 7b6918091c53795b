//! G4: how does a GEMM's speed depend on N, the width of its result?
//!
//! The GEMM is a projection: M tokens from K features to the N of a head. N is the row length of B
//! and of the result, so an odd N leaves the rows of both unaligned; small M shows where tiles, not
//! arithmetic, set the time.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("g4_gemm_n_dense")
}
