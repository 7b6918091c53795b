//! S1: how does attention latency depend on head_dim?
//!
//! Every head_dim of a range is timed with the same batch, sequence length and heads. A kernel
//! compiled for a few head_dims serves the others padded, so the curve is a staircase: where its
//! steps are, and how high, is the result. Where AUTO pads the tensors to a multiple of 8 within
//! the launch, the kernel alone stands beside the whole. NS_FASTEST, the best of our own backends,
//! shows what the shape could have.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("s1_sdpa_dense")
}
