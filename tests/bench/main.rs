//! The bench executables and `night-sweep`, driven as a user drives them: on the CPU, at sizes that
//! take no time.

#![allow(clippy::unwrap_used)] // in helpers of tests

mod arguments;
mod commands;
mod disk;
mod energy;
mod environment;
mod fan_out;
mod faults;
mod gate;
mod killed;
mod loud;
mod pytorch;
mod run;
mod run_command;
mod sandbox;
mod shards;
mod special;
mod specs;
mod stopped;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod text;
mod variants;
