//! The command line beside the benches: reports, specs, advice, the machine.

use anyhow::{Context, Result, anyhow, bail};
use clap::{Parser, Subcommand};
use night_sweep::advise::input::{self, Item};
use night_sweep::advise::output::{self, Format};
use night_sweep::advise::times::Operation;
use night_sweep::advise::{Request, advise};
use night_sweep::cli::compare::{self, CompareArgs, GateArgs};
use night_sweep::cli::fan_out::{FanOutArgs, fan_out};
use night_sweep::cli::run::RunArgs;
use night_sweep::device::{Device, DeviceChoice, cuda};
use night_sweep::journal::home::{criterion_home, runs_folder};
use night_sweep::journal::{self, merge, runs};
use night_sweep::render;
use night_sweep::run::env;
use night_sweep::run::settings::{self, VARIABLES};
use night_sweep::spec::{Spec, default_spec};
use std::path::{Path, PathBuf};
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
    /// Writes the run folder of a journal again, and prints its table.
    Report {
        /// A run id, a journal, the folder of one or of a report; the newest run if absent.
        #[arg(conflicts_with = "index")]
        run: Option<String>,
        /// Writes index.html over all runs there are instead.
        #[arg(long)]
        index: bool,
        /// With --index: published points to lay beside the runs, as experiments/reference/a100_published.yaml.
        #[arg(long, requires = "index")]
        reference: Option<PathBuf>,
        /// Where run folders are written.
        #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
        results_root: PathBuf,
    },
    /// Measures experiments, as their benches do: for a machine without Rust.
    Run(RunArgs),
    /// Prints the table of a run folder again.
    Summary {
        /// The folder, as a bench prints it in its last line.
        folder: PathBuf,
    },
    /// Joins the shards of a sweep (NIGHT_SWEEP_SHARD) into one run, and reports it.
    Merge {
        /// The run ids of all shards, their journals, or the folders of these.
        #[arg(required = true)]
        shards: Vec<String>,
        /// Name of the merged run; default: YYYYMMDD_HHMMSS_EXPERIMENT.
        #[arg(long)]
        run_id: Option<String>,
        /// Where run folders are written.
        #[arg(long, env = "NIGHT_SWEEP_RESULTS_ROOT", default_value = "target-reports")]
        results_root: PathBuf,
    },
    /// Lists the experiments of a spec, and the command that runs each.
    List {
        /// The spec; default: that of the benches on a GPU.
        #[arg(long, env = "NIGHT_SWEEP_SPEC")]
        spec: Option<PathBuf>,
        /// Lists the runs under Criterion's folder that are not complete instead; NIGHT_SWEEP_RESUME goes on with one.
        #[arg(long)]
        runs: bool,
    },
    /// Checks specs: says the first thing wrong with each.
    Validate {
        /// The specs.
        #[arg(required = true)]
        specs: Vec<PathBuf>,
    },
    /// Says which measured dimension to use in place of each of yours, and why.
    Advise {
        /// Run folders, or their raw.json; of one device.
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// Dimensions, like 107,113,121.
        #[arg(long, required_unless_present = "dims_file")]
        dims: Option<String>,
        /// A JSON or CSV list of dimensions, or of name, dim and importance (1 if absent: with --budget, making a
        /// dimension 1 % smaller then weighs as much as 1 % of its time).
        #[arg(long, conflicts_with = "dims")]
        dims_file: Option<PathBuf>,
        /// How much larger a dimension may become.
        #[arg(long, default_value = "10%")]
        max_overhead: String,
        /// What has the dimension; by the first run if absent.
        #[arg(long)]
        op: Option<Operation>,
        /// A curve of the runs; the first if absent.
        #[arg(long)]
        curve: Option<String>,
        /// What all dimensions may add up to: chooses them together, for the least time; none more than 10 % smaller.
        #[arg(long)]
        budget: Option<usize>,
        /// How to print it.
        #[arg(long, default_value = "table")]
        format: Format,
    },
    /// Says which cases of one run, or of one of Criterion's baselines, are slower in another.
    Compare(CompareArgs),
    /// Measures two builds in turn, and says whether the second got slower.
    Gate(GateArgs),
    /// Runs a bench on several GPUs of this node at once, a shard each, and merges them into one run.
    FanOut(FanOutArgs),
    /// Prints the machine as env.json describes it.
    Env {
        /// auto, cpu, cuda or cuda:N.
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

fn main() -> ExitCode {
    // A process that `run`, a gate or a fan-out started: its arguments are Criterion's.
    if let Ok(bench) = std::env::var(settings::RUN_BENCH) {
        return night_sweep::run::bench(&bench);
    }
    let command = Cli::parse().command;
    if !matches!(command, Command::Gate(_) | Command::FanOut(_) | Command::Run(_)) {
        // As every other program that only prints: `| head` ends it without a word.
        sigpipe::reset();
    }
    let done = match command {
        Command::Report { index: true, reference, results_root, .. } => {
            index(&results_root, reference.as_deref())
        }
        Command::Report { run, results_root, .. } => report(run.as_deref(), &results_root),
        Command::Merge { shards, run_id, results_root } => {
            merge(&shards, run_id.as_deref(), &results_root)
        }
        Command::Run(arguments) => match night_sweep::cli::run::run(&arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Summary { folder } => summary(&folder),
        Command::List { runs: true, .. } => list_runs(),
        Command::List { spec, .. } => list(spec.as_deref()),
        Command::Validate { specs } => validate(&specs),
        Command::Advise { runs, dims, dims_file, max_overhead, op, curve, budget, format } => {
            items(dims.as_deref(), dims_file.as_deref()).and_then(|items| {
                let max_overhead = input::percentage(&max_overhead).context("--max-overhead")?;
                let request = Request { operation: op, curve, items, max_overhead, budget };
                print_advice(&runs, &request, format)
            })
        }
        Command::Compare(arguments) => match compare::compare(&arguments, &criterion_home()) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err(error),
        },
        Command::Gate(arguments) => match gate(&arguments) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err(error),
        },
        Command::FanOut(arguments) => match fan_out(&arguments) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err(error),
        },
        Command::Env { device } => print_env(&device),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("night-sweep: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn variables_help() -> String {
    let lines =
        VARIABLES.map(|(name, takes, does)| format!("  {name:<25} {takes}\n{:28}{does}", ""));
    format!("A bench is steered by environment variables:\n{}", lines.join("\n"))
}

fn report(run: Option<&str>, results_root: &Path) -> Result<()> {
    let journal = match run {
        None => newest_journal()?,
        Some(run) => runs::journal_of(run)?,
    };
    write_report(&journal, results_root)
}

fn merge(shards: &[String], run_id: Option<&str>, results_root: &Path) -> Result<()> {
    write_report(&merge::merge(shards, run_id)?, results_root)
}

/// The report of a journal; its folder is the last line.
fn write_report(journal: &Path, results_root: &Path) -> Result<()> {
    let written = render::write(journal, &criterion_home(), results_root)?;
    render::terminal::print_report(&written)
}

fn summary(folder: &Path) -> Result<()> {
    render::terminal::print(&render::terminal::table_of(folder)?)
}

fn index(results_root: &Path, reference: Option<&Path>) -> Result<()> {
    let index = render::index::write(results_root, reference)?;
    for broken in &index.broken {
        eprintln!("night-sweep: left out: {broken}");
    }
    println!("{} runs: {}", index.runs, index.path.display());
    Ok(())
}

/// The journal that was written to last.
fn newest_journal() -> Result<PathBuf> {
    let folder = runs_folder();
    let runs = std::fs::read_dir(&folder).with_context(|| {
        format!("there is no run yet in {}: make one with `cargo bench`", folder.display())
    })?;
    let journals = runs.flatten().map(|run| run.path().join(journal::FILE_NAME));
    let dated =
        journals.filter_map(|path| Some((std::fs::metadata(&path).ok()?.modified().ok()?, path)));
    match dated.max() {
        Some((_, path)) => Ok(path),
        None => bail!("there is no run yet in {}: make one with `cargo bench`", folder.display()),
    }
}

fn list(path: Option<&Path>) -> Result<()> {
    let spec = Spec::load(
        &path.map_or_else(|| default_spec("night_sweep.yaml"), |path| Ok(path.to_owned()))?,
    )?;
    let variable =
        path.map(|path| format!("NIGHT_SWEEP_SPEC={} ", path.display())).unwrap_or_default();
    for experiment in spec.experiments() {
        println!("{} ({})", experiment.name, experiment.kind.type_name());
        if let Some(description) = &experiment.description {
            println!("    {description}");
        }
        let (name, target) = (&experiment.name, experiment.bench_target());
        println!("    {variable}NIGHT_SWEEP_EXPERIMENT={name} cargo bench --bench {target}");
    }
    Ok(())
}

fn list_runs() -> Result<()> {
    let (unfinished, broken) = runs::unfinished()?;
    for broken in &broken {
        eprintln!("night-sweep: left out: {broken}");
    }
    if unfinished.is_empty() {
        println!("no run in {} can be resumed", runs_folder().display());
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["run id", "experiment", "device", "trials", "last written", ""]);
    for run in unfinished {
        let shard = run.shard.map(|shard| format!(" {shard}")).unwrap_or_default();
        let written = run.written.to_zoned(jiff::tz::TimeZone::system());
        let (done, all) = run.trials;
        table.add_row([
            run.run_id,
            format!("{}{shard}", run.experiment),
            run.device,
            format!("{done} of {all}"),
            written.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            if run.is_under_way { "under way".to_owned() } else { String::new() },
        ]);
    }
    println!("{table}");
    println!("NIGHT_SWEEP_RESUME=<run id> with the bench of its experiment goes on with one.");
    Ok(())
}

fn validate(paths: &[PathBuf]) -> Result<()> {
    let mut wrong = 0;
    for path in paths {
        match Spec::load(path) {
            Ok(spec) => println!("{}: {} experiments", path.display(), spec.experiments().count()),
            Err(error) => {
                wrong += 1;
                eprintln!("night-sweep: {error}");
            }
        }
    }
    match wrong {
        0 => Ok(()),
        _ => bail!("{wrong} of {} specs cannot be run", paths.len()),
    }
}

/// The dimensions of `--dims` or of the file of `--dims-file`.
fn items(dims: Option<&str>, file: Option<&Path>) -> Result<Vec<Item>> {
    match (dims, file) {
        (Some(dims), _) => input::dims(dims).context("--dims"),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            input::dims_file(&text).with_context(|| file.display().to_string())
        }
        (None, None) => bail!("give --dims or --dims-file"),
    }
}

fn print_advice(runs: &[PathBuf], request: &Request, format: Format) -> Result<()> {
    let runs: Vec<_> = runs.iter().map(|run| input::read_run(run)).collect::<Result<_>>()?;
    println!("{}", output::render(&advise(&runs, request)?, format)?);
    Ok(())
}

fn gate(arguments: &GateArgs) -> Result<u8> {
    let settings = settings::Settings::from_env().map_err(|line| anyhow!(line))?;
    let is_cpu = match settings.device {
        DeviceChoice::Cpu => true,
        DeviceChoice::Cuda(_) => false,
        DeviceChoice::Auto => cuda::present().is_err(),
    };
    let spec = default_spec(if is_cpu { "night_sweep_cpu.yaml" } else { "night_sweep.yaml" });
    compare::gate(arguments, spec.map_err(Into::into), is_cpu)
}

fn print_env(device: &str) -> Result<()> {
    let choice: DeviceChoice =
        device.parse().map_err(|allowed| anyhow!("--device {device}: allowed is {allowed}"))?;
    let (device, note) = Device::open(choice).map_err(|line| anyhow!(line))?;
    if let Some(note) = note {
        eprintln!("night-sweep: {note}");
    }
    println!("{}", serde_json::to_string_pretty(&env::describe(&device))?);
    Ok(())
}
