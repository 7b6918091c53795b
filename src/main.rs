//! `night-sweep`: the commands beside the benches.

fn main() -> std::process::ExitCode {
    night_sweep::cli::main()
}
