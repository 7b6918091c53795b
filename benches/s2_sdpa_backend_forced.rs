//! S2: which attention backend is fastest at a head_dim, and does AUTO pick it?
//!
//! The same attention is asked of each backend in turn, at aligned head_dims and at an awkward one.
//! A backend that does not support a head_dim is a result too, and stands in the report with its
//! reason. An entry of the type sdpa_backend_selection, C21, asks AUTO alone, at every head_dim
//! around 112 and at several shapes: which backend does it take?

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("s2_sdpa_backend_forced")
}
