use super::advise::say_left_out;
use crate::advise::dims_file::{self, DimsFile};
use crate::advise::input;
use crate::experiments::model_layers::architecture::Architecture;
use crate::files::{self, cannot};
use crate::model::assign::{self, Assigned, DimsAre};
use crate::model::{config, shapes, spec, written};
use crate::spec::{Spec, SpecError};
use crate::terminal::{print, say, text, width};
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

/// Show what a model's dimensions make of it, and write the spec that measures it.
#[derive(Args)]
pub struct ModelArgs {
    /// The model's Hugging Face config.json, or its folder.
    config: PathBuf,
    /// The ranks or widths that a compression left: JSON or CSV, by module name.
    #[arg(long)]
    dims: Option<PathBuf>,
    /// What the dimensions of linear layers are; by their names if absent.
    #[arg(long, requires = "dims")]
    dims_are: Option<DimsAre>,
    /// How many equal groups of outputs have the one rank that the file gives of a module.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    groups: u16,
    /// How many tokens go through the model at once.
    #[arg(long, default_value = "1,16,512,4096")]
    tokens: String,
    /// Up to so many tokens are a decode step of as many sequences; more are one prompt.
    #[arg(long, default_value_t = 64)]
    decode_up_to: usize,
    /// Rows of the KV cache of each sequence in a decode step.
    #[arg(long, default_value_t = 4096)]
    context: usize,
    /// GPUs that share each layer (tensor parallelism).
    #[arg(long, default_value_t = 1)]
    tp: usize,
    /// Element type.
    #[arg(long, default_value = "bf16")]
    dtype: String,
    /// How many more parameters the advised dimensions may have.
    #[arg(long, default_value = "10%")]
    max_overhead: String,
    /// Where to write the spec that measures the model.
    #[arg(long)]
    spec: Option<PathBuf>,
    /// A measured run of it, for --write-dims.
    #[arg(long, requires = "write_dims")]
    run: Option<PathBuf>,
    /// Where to write the dimensions that the run advises, in the form of --dims.
    #[arg(long, requires = "run", requires = "dims")]
    write_dims: Option<PathBuf>,
}

pub fn run(arguments: &ModelArgs) -> Result<u8> {
    if let Some(to) = &arguments.write_dims {
        let is_there = to.symlink_metadata().is_ok();
        ensure!(!is_there, "{}: there is a file of that name: give another", to.display());
    }
    let model = architecture(&arguments.config)?;
    let file = arguments.dims.as_deref().map(dims).transpose()?;
    let (written, items) = file.map_or_else(Default::default, |(text, file)| (text, file.items));
    let assigned = match &arguments.dims {
        None => Assigned::default(),
        Some(path) => assign::assign(&model, &items, arguments.dims_are, arguments.groups.into())
            .and_then(|assigned| assign::check(&assigned, &model).map(|()| assigned))
            .with_context(|| path.display().to_string())?,
    };
    assigned.notes.iter().for_each(|note| say(&format!("night-sweep: {note}")));
    if let (Some(run), Some(to)) = (&arguments.run, &arguments.write_dims) {
        let modules = written::read(run)?;
        let done = written::advised(&modules, &written, &items, &assigned.places, &model)?;
        files::write_atomically(to, done.text.as_bytes())?;
        done.notes.iter().for_each(|note| say(&format!("night-sweep: {note}")));
        print(&format!(
            "{} of {} dimensions changed: {}\n",
            done.changed,
            items.len(),
            text::path(to)
        ))?;
        return Ok(0);
    }
    let entry = spec::entry(&model, &assigned, &asked(arguments)?);
    let yaml = spec::yaml(&entry)?;
    // What the files do not say, the spec's own checks do.
    let parsed = Spec::parse(&yaml, Path::new("spec")).map_err(of_the_model)?;
    let experiment = parsed.experiments().next().context("an entry")?;
    if let Some(path) = &arguments.spec {
        files::replace_file(path, yaml.as_bytes(), spec::is_ours)?;
    }
    print(&(shapes::of(&serde_json::from_value(experiment.sweep.to_json())?, width()) + "\n"))?;
    if let Some(path) = &arguments.spec {
        let shown = text::shell(path);
        print(&format!(
            "measure it: night-sweep run M1_model_layers --spec {shown}\n\
             or: NIGHT_SWEEP_SPEC={shown} cargo bench --bench m1_model_layers\n"
        ))?;
    }
    Ok(0)
}

/// Without the place in a spec that nobody wrote.
fn of_the_model(error: SpecError) -> anyhow::Error {
    match error {
        SpecError::Invalid { problem, .. } => {
            let prefix = format!("experiments.{}.", spec::NAME);
            anyhow!("{}", problem.strip_prefix(&prefix).unwrap_or(&problem))
        }
        other => other.into(),
    }
}

fn architecture(path: &Path) -> Result<Architecture> {
    let file = if path.is_dir() { path.join("config.json") } else { path.to_owned() };
    let text = files::read_text(&file, files::LARGE_BYTES).with_context(cannot("read", &file))?;
    let name = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("config") => file.parent().and_then(|folder| folder.file_name()?.to_str()),
        stem => stem,
    };
    config::read(&text, name.unwrap_or("model")).with_context(|| file.display().to_string())
}

fn dims(path: &Path) -> Result<(String, DimsFile)> {
    let (text, file) = dims_file::load(path)?;
    say_left_out(path, &file);
    Ok((text, file))
}

fn asked(arguments: &ModelArgs) -> Result<spec::Asked> {
    let mut asked = spec::Asked {
        dtype: arguments.dtype.clone(),
        decode: Vec::new(),
        prefill: Vec::new(),
        context: arguments.context,
        tp: arguments.tp,
        max_overhead_pct: input::percentage(&arguments.max_overhead).context("--max-overhead")?
            * 100.0,
        sources: [Some(&arguments.config), arguments.dims.as_ref()]
            .into_iter()
            .flatten()
            .map(|path| path.display().to_string())
            .collect(),
    };
    for tokens in arguments.tokens.split(',') {
        let tokens = tokens.trim();
        let tokens: usize =
            tokens.parse().ok().filter(|tokens| *tokens > 0).with_context(|| {
                format!("--tokens: {tokens:?} is no number of tokens; a list is like 1,16,512")
            })?;
        let is_decode = tokens <= arguments.decode_up_to;
        let counts = if is_decode { &mut asked.decode } else { &mut asked.prefill };
        ensure!(!counts.contains(&tokens), "--tokens: {tokens} stands twice");
        counts.push(tokens);
    }
    Ok(asked)
}
