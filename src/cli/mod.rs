//! The command line of `night-sweep`, one file a command: its arguments, and `run`, which returns
//! the exit code.

mod advise;
mod compare;
mod comparison;
mod device;
mod env;
mod export;
mod fan_out;
mod gate;
mod list;
mod merge;
mod model;
mod report;
mod run;
mod summary;
mod validate;

use crate::process::leash::{LEASH, become_child};
use crate::process::{child::RUN_BENCH, exit::REFUSED};
use crate::run::settings::VARIABLES;
use crate::terminal::{print, refuse};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// GPU shape sweeps with Criterion: measure with `cargo bench`, read the results here.
#[derive(Parser)]
#[command(version, after_help = variables_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::RunArgs),
    Report(report::ReportArgs),
    Summary(summary::SummaryArgs),
    Merge(merge::MergeArgs),
    List(list::ListArgs),
    Validate(validate::ValidateArgs),
    Advise(advise::AdviseArgs),
    Model(model::ModelArgs),
    Export(export::ExportArgs),
    Compare(compare::CompareArgs),
    Gate(gate::GateArgs),
    FanOut(fan_out::FanOutArgs),
    Env(env::EnvArgs),
}

/// The `main` of `night-sweep`.
pub fn main() -> ExitCode {
    // What a gate or a fan-out starts ends with it.
    if let Ok(parent) = std::env::var(LEASH) {
        return become_child(&parent);
    }
    // A process that `run`, a gate or a fan-out started: its arguments are Criterion's.
    if let Ok(bench) = std::env::var(RUN_BENCH) {
        return crate::run::bench(&bench);
    }
    ExitCode::from(run().unwrap_or_else(|error| {
        refuse(&format!("night-sweep: {error:#}"));
        REFUSED
    }))
}

fn run() -> Result<u8> {
    match Cli::try_parse().map(|cli| cli.command) {
        Ok(command) => command.run(),
        Err(asked) if !asked.use_stderr() => print(&asked.render().to_string()).map(|()| 0),
        Err(error) => {
            error.render().to_string().lines().for_each(refuse);
            Ok(REFUSED)
        }
    }
}

impl Command {
    fn run(&self) -> Result<u8> {
        match self {
            Command::Run(arguments) => run::run(arguments),
            Command::Report(arguments) => report::run(arguments),
            Command::Summary(arguments) => summary::run(arguments),
            Command::Merge(arguments) => merge::run(arguments),
            Command::List(arguments) => list::run(arguments),
            Command::Validate(arguments) => validate::run(arguments),
            Command::Advise(arguments) => advise::run(arguments),
            Command::Model(arguments) => model::run(arguments),
            Command::Export(arguments) => export::run(arguments),
            Command::Compare(arguments) => compare::run(arguments),
            Command::Gate(arguments) => gate::run(arguments),
            Command::FanOut(arguments) => fan_out::run(arguments),
            Command::Env(arguments) => env::run(arguments),
        }
    }
}

fn variables_help() -> String {
    let lines =
        VARIABLES.map(|(name, takes, does)| format!("  {name:<25} {takes}\n{:28}{does}", ""));
    format!("A bench is steered by environment variables:\n{}", lines.join("\n"))
}
