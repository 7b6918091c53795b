//! What tests of executables and of run folders share.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use night_sweep::journal::Run;
use night_sweep::journal::record::Status;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

pub const RUN_FOLDER: [&str; 7] =
    [".night-sweep", "config.json", "env.json", "plots", "raw.json", "report.html", "summary.json"];

/// What is in a JSON file, compressed if its name says so.
pub fn json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match path.extension().is_some_and(|ending| ending == "gz") {
        true => serde_json::from_reader(BufReader::new(GzDecoder::new(&*bytes))).unwrap(),
        false => serde_json::from_slice(&bytes).unwrap(),
    }
}

pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Makes of a run folder what is published: results compressed, no PNG.
pub fn compress(folder: &Path) {
    for name in ["raw.json", "summary.json"] {
        let plain = folder.join(name);
        let file = fs::File::create(folder.join(format!("{name}.gz"))).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::best());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(plain).unwrap();
    }
    for name in names(&folder.join("plots")).iter().filter(|name| name.ends_with(".png")) {
        fs::remove_file(folder.join("plots").join(name)).unwrap();
    }
}

/// Checks the four JSON files of a run folder, compressed or not, against their schemas.
pub fn assert_valid(folder: &Path) {
    for name in ["config", "env", "raw", "summary"] {
        let plain = folder.join(format!("{name}.json"));
        let file = if plain.exists() { plain } else { plain.with_extension("json.gz") };
        assert_matches_schema(&file, name);
    }
}

/// Checks a JSON file against `target-reports/schema/<name>.schema.json`.
pub fn assert_matches_schema(file: &Path, name: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("target-reports/schema/{name}.schema.json"));
    let schema = json(&schema);
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = json(file);
    let error = |error: jsonschema::ValidationError| format!("{}: {error}", error.instance_path());
    let errors: Vec<String> = validator.iter_errors(&value).map(error).take(5).collect();
    assert!(errors.is_empty(), "{name}.json: {errors:#?}");
}

/// A program without the variables of Night Sweep and Criterion that this process has.
pub fn without_our_variables(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let is_ours = |name: &str| name.starts_with("NIGHT_SWEEP_") || name == "CRITERION_HOME";
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_ours)) {
        command.env_remove(name);
    }
    // What a test sees does not depend on what the machine has.
    command.env("NIGHT_SWEEP_TORCH", "no");
    command
}

/// The executables of the benches by target. Cargo names those of binaries only, so they are built
/// once and asked for.
pub fn benches() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--benches"]);
        cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target_dir);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let messages = messages.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        let benches = messages.filter(|message| message["target"]["kind"][0] == "bench");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let built = |message: Value| {
            Some((text(&message["target"]["name"])?, text(&message["executable"])?.into()))
        };
        benches.filter_map(built).collect()
    })
}

/// A hung process fails its test, much later than the slowest machine would.
const TIME_OUT: Duration = Duration::from_secs(120);

pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    pub fn succeeded(self) -> Ran {
        self.ended_with(0)
    }

    #[track_caller]
    pub fn ended_with(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that bad input was refused in one line before anything was printed, and returns that
    /// line.
    pub fn refused(self) -> String {
        let Ran { stdout, stderr, .. } = self.ended_with(2);
        assert!(stdout.is_empty(), "{stdout}");
        let line = stderr.strip_suffix('\n').unwrap();
        assert!(line.starts_with("night-sweep: ") && !line.contains('\n'), "{line}");
        line.to_owned()
    }

    #[track_caller]
    pub fn refused_for(self, parts: &[&str]) {
        assert_contains(&self.refused(), parts);
    }

    /// The run folder, which a run and a report print as their last line.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(self.stdout.lines().last().unwrap())
    }

    /// A JSON file of the run folder, as `raw`.
    pub fn json(&self, name: &str) -> Value {
        json(&self.folder().join(format!("{name}.json")))
    }

    pub fn run_id(&self) -> String {
        self.folder().file_name().unwrap().to_str().unwrap().to_owned()
    }
}

pub fn finish(command: Command) -> Ran {
    assert_cmd::Command::from_std(command).timeout(TIME_OUT).output().unwrap().into()
}

pub fn night_sweep(arguments: &[&str]) -> Ran {
    let mut command = without_our_variables(env!("CARGO_BIN_EXE_night-sweep"));
    command.args(arguments);
    finish(command)
}

/// Checks that each trial of each case is there, and none twice.
pub fn assert_each_once(run: &Run) {
    let once: HashSet<_> = run.trials.iter().map(|trial| (&trial.case_id, trial.trial)).collect();
    let all = run.header.cases.len() * run.header.protocol.trials;
    assert_eq!((once.len(), run.trials.len(), run.failures.len()), (all, all, 0));
    assert_eq!(run.end.as_ref().unwrap().status, Status::Complete);
}

#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
