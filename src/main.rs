//! `night-sweep`: the commands beside the benches.

use clap::{Parser, Subcommand};
use night_sweep::cli::{
    advise, compare, env, fan_out, gate, list, merge, report, run, summary, validate,
    variables_help,
};
use night_sweep::process::child::RUN_BENCH;
use night_sweep::process::exit::REFUSED;
use night_sweep::terminal;
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
    Compare(compare::CompareArgs),
    Gate(gate::GateArgs),
    FanOut(fan_out::FanOutArgs),
    Env(env::EnvArgs),
}

fn main() -> ExitCode {
    // A process that `run`, a gate or a fan-out started: its arguments are Criterion's.
    if let Ok(bench) = std::env::var(RUN_BENCH) {
        return night_sweep::run::bench(&bench);
    }
    let done = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Advise(arguments) => advise::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Gate(arguments) => gate::run(&arguments),
        Command::FanOut(arguments) => fan_out::run(&arguments),
        Command::Env(arguments) => env::run(&arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        // `| head` ends a command without a word.
        Err(error) if terminal::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("night-sweep: {error:#}"));
            ExitCode::from(REFUSED)
        }
    }
}
