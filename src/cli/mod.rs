//! The command line beside the benches, one file a command.

pub mod compare;
pub mod fan_out;
pub mod run;
