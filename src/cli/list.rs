use super::device::{device, is_cpu};
use crate::journal::home::runs_folder;
use crate::journal::runs::{self, Unfinished};
use crate::render::table::{table, with_header};
use crate::spec::{Experiment, Source, Spec};
use crate::terminal::text::{cell, path, plain, shell};
use crate::terminal::{print, say, width};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// List the experiments of a spec, and the command that runs each.
#[derive(Args)]
pub struct ListArgs {
    /// The spec; default: that of the benches on the device.
    #[arg(long, env = "NIGHT_SWEEP_SPEC")]
    spec: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, env = "NIGHT_SWEEP_DEVICE", default_value = "auto")]
    device: String,
    /// List the runs under Criterion's folder that are not complete instead; NIGHT_SWEEP_RESUME
    /// goes on with one.
    #[arg(long)]
    runs: bool,
    /// How to print the experiments.
    #[arg(long, default_value = "text")]
    format: Format,
}

/// How to print a list.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// For a person.
    Text,
    /// For scripts: a line each with name, type, group and bench, divided by tabs.
    Tsv,
}

pub fn run(arguments: &ListArgs) -> Result<u8> {
    if arguments.runs {
        return list_runs();
    }
    let choice = device(&arguments.device)?;
    let named = arguments.spec.as_deref();
    let source = Source::of(named, is_cpu(choice))?;
    let spec = Spec::of(&source)?;
    let each = spec.experiments().map(|experiment| match arguments.format {
        Format::Text => described(experiment, named, source.is_file),
        Format::Tsv => format!(
            "{}\t{}\t{}\t{}\n",
            cell(&experiment.name),
            experiment.kind.name,
            experiment.group(),
            experiment.bench_target()
        ),
    });
    spec.runnable()?;
    spec.say_other_types();
    print(&each.collect::<String>())?;
    Ok(0)
}

/// The command is one for a shell in this folder; without a repository there is no `cargo bench`.
fn described(experiment: &Experiment, spec: Option<&Path>, in_repository: bool) -> String {
    let name = &experiment.name;
    // Cargo runs a bench in the folder of its package.
    let spec = spec.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let variable =
        spec.map(|path| format!("NIGHT_SWEEP_SPEC={} ", shell(&path))).unwrap_or_default();
    let command = match in_repository {
        true => format!(
            "{variable}NIGHT_SWEEP_EXPERIMENT={name} cargo bench --bench {}",
            experiment.bench_target()
        ),
        false => format!("night-sweep run {name}"),
    };
    let description = experiment.description.iter().map(|text| format!("    {}\n", plain(text)));
    format!("{name} ({})\n{}    {command}\n", experiment.kind.name, description.collect::<String>())
}

fn list_runs() -> Result<u8> {
    let (unfinished, broken) = runs::unfinished()?;
    for broken in &broken {
        say(&format!("night-sweep: left out: {broken}"));
    }
    if unfinished.is_empty() {
        print(&format!("no run in {} can be resumed", path(&runs_folder())))?;
        return Ok(0);
    }
    let header = ["run id", "experiment", "device", "trials", "last written", ""];
    let table = table(1, &with_header(header, unfinished.into_iter().map(row)), width());
    print(&format!(
        "{table}\nNIGHT_SWEEP_RESUME=<run id> with the bench of its experiment goes on with one."
    ))?;
    Ok(0)
}

fn row(run: Unfinished) -> [String; 6] {
    let shard = run.shard.map(|shard| format!(" {shard}")).unwrap_or_default();
    let written = run.written.to_zoned(jiff::tz::TimeZone::system());
    let (done, all) = run.trials;
    [
        run.run_id,
        format!("{}{shard}", run.experiment),
        run.device,
        format!("{done} of {all}"),
        written.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        if run.is_under_way { "under way".to_owned() } else { String::new() },
    ]
}
