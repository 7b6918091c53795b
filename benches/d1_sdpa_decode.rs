//! D1: how does decode attention, one query on a KV cache, depend on head_dim?
//!
//! The cache is read once and nothing else takes time, so a kernel is as good as its share of the
//! memory's bandwidth. Where a library pads the tensors of a misaligned head_dim within the launch,
//! it copies the whole cache in every step; the variant `padded_cache` keeps it padded instead.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("d1_sdpa_decode")
}
