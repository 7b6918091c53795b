//! M1: did a compression of a model pay, and what should its dimensions be?
//!
//! Each distinct operation of its layers once, whatever plan needs it: dense, as the compression
//! left it, rounded. The sum over all layers is the time of the model; one whole layer as a single
//! graph checks that.

use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::bench("m1_model_layers")
}
