//! G3: how does a GEMM's speed depend on K, the dimension summed over?
//!
//! In `C[M,N] = A[M,K] · B[K,N]` M and N are kept. K is the row length of A, so an odd K leaves
//! its rows unaligned; and tensor cores take K in steps, so the last one may be half empty.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("g3_gemm_k_dense")
}
