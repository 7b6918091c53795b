//! G5: how does a GEMM's speed depend on M, the number of tokens?
//!
//! K and N are those of a weight matrix, M grows from one token in decode to a short prompt. Few
//! rows leave the GEMM bounded by reading its weights, so the time should hardly grow; where it
//! does, a tile was filled or another kernel took over.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("g5_gemm_m_dense")
}
