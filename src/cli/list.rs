use super::device::{device, is_cpu};
use crate::journal::home::runs_folder;
use crate::journal::runs::{self, Unfinished};
use crate::spec::{Experiment, Source, Spec};
use crate::terminal::{print, say};
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
    let spec = Spec::of(&Source::of(named, is_cpu(choice))?)?;
    let each = spec.experiments().map(|experiment| match arguments.format {
        Format::Text => described(experiment, named),
        Format::Tsv => format!(
            "{}\t{}\t{}\t{}\n",
            experiment.name,
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

fn described(experiment: &Experiment, spec: Option<&Path>) -> String {
    let name = &experiment.name;
    let variable =
        spec.map(|path| format!("NIGHT_SWEEP_SPEC={} ", path.display())).unwrap_or_default();
    let description = experiment.description.iter().map(|text| format!("    {text}\n"));
    format!(
        "{name} ({})\n{}    {variable}NIGHT_SWEEP_EXPERIMENT={name} cargo bench --bench {}\n",
        experiment.kind.name,
        description.collect::<String>(),
        experiment.bench_target()
    )
}

fn list_runs() -> Result<u8> {
    let (unfinished, broken) = runs::unfinished()?;
    for broken in &broken {
        say(&format!("night-sweep: left out: {broken}"));
    }
    if unfinished.is_empty() {
        print(&format!("no run in {} can be resumed", runs_folder().display()))?;
        return Ok(0);
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["run id", "experiment", "device", "trials", "last written", ""]);
    table.add_rows(unfinished.into_iter().map(row));
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
