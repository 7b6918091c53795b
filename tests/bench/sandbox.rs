//! A place of its own for each test: a spec, Criterion's folder and a results root, and what is run
//! in it.

use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// Ids of the G3 sweep in [`SPEC`], in its order.
pub const G3_IDS: [&str; 5] = [
    "G3/M16_N16_fp16/K8",
    "G3/M16_N16_fp16/K9",
    "G3/M16_N16_fp16/K10",
    "G3/M16_N16_fp16/K11",
    "G3/M16_N16_fp16/K12",
];

/// Trials in [`SPEC`].
pub const TRIALS: usize = 2;

/// Five points for each bench.
pub const SPEC: &str = "\
experiments:
  S1_sdpa_dense_sweep:
    type: sdpa_dense
    shapes: [{batch: 1, seq_len: 16, n_heads: 1}]
    head_dim_range: [64, 68]
    warmup: 1
    measure: 2
    trials: 2
  G3_gemm_k_dense:
    type: gemm_k_dense
    dtypes: [fp16]
    shape: {M: 16, N: 16}
    K_range: [8, 12]
    warmup: 1
    measure: 2
    trials: 2
";

/// A hung process fails its test, much later than the slowest machine would.
const TIME_OUT: Duration = Duration::from_secs(120);

/// Folders and files that nothing else uses.
pub struct Sandbox {
    dir: TempDir,
}

/// A process that ended.
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Sandbox {
    /// A sandbox with [`SPEC`].
    pub fn new() -> Sandbox {
        let sandbox = Sandbox { dir: tempfile::tempdir().unwrap() };
        sandbox.write_spec(SPEC);
        sandbox
    }

    /// Puts another spec in place.
    pub fn write_spec(&self, text: &str) {
        fs::write(self.spec(), text).unwrap();
    }

    /// Where it all lies, and where its programs run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the spec lies.
    pub fn spec(&self) -> PathBuf {
        self.dir.path().join("spec.yaml")
    }

    /// Criterion's folder.
    pub fn criterion_home(&self) -> PathBuf {
        self.dir.path().join("criterion")
    }

    /// The results root.
    pub fn results(&self) -> PathBuf {
        self.dir.path().join("results")
    }

    /// The journal of a run.
    pub fn journal(&self, run_id: &str) -> PathBuf {
        self.criterion_home().join("night-sweep").join(run_id).join("journal.jsonl")
    }

    /// A program in this sandbox, whatever the variables of whoever runs the tests.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NIGHT_SWEEP_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.dir.path())
            .env("CRITERION_HOME", self.criterion_home())
            .env("NIGHT_SWEEP_RESULTS_ROOT", self.results())
            .env("NIGHT_SWEEP_SPEC", self.spec())
            .env("NIGHT_SWEEP_DEVICE", "cpu");
        command
    }

    /// Runs the G3 bench.
    pub fn g3(&self, arguments: &[&str]) -> Ran {
        self.g3_with(&[], arguments)
    }

    /// Runs the G3 bench with more, or other, variables.
    pub fn g3_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(bench("g3_gemm_k_dense"));
        command.args(arguments).envs(variables.iter().copied());
        finish(command)
    }

    /// Runs the S1 bench.
    pub fn s1(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(bench("s1_sdpa_dense"));
        command.args(arguments);
        finish(command)
    }

    /// Runs `night-sweep`.
    pub fn night_sweep(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_night-sweep")));
        command.args(arguments);
        finish(command)
    }

    /// Checks that nothing was measured and nothing reported.
    pub fn assert_untouched(&self) {
        let has_any = |dir: PathBuf| fs::read_dir(dir).is_ok_and(|mut dir| dir.next().is_some());
        assert!(!has_any(self.results()), "there is something in the results root");
        assert!(!has_any(self.criterion_home()), "there is something in Criterion's folder");
    }
}

impl Ran {
    /// Checks that it went well.
    pub fn succeeded(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that bad input was refused in one line before anything was printed, and returns that
    /// line.
    pub fn refused(self) -> String {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert!(self.stdout.is_empty(), "{}", self.stdout);
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(line.starts_with("night-sweep: ") && !line.contains('\n'), "{line}");
        line.to_owned()
    }

    /// The run folder, which a run and a report print as their last line.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(self.stdout.lines().last().unwrap())
    }

    /// The run id, which names the run folder.
    pub fn run_id(&self) -> String {
        self.folder().file_name().unwrap().to_str().unwrap().to_owned()
    }
}

/// Waits for a process to end.
pub fn finish(command: Command) -> Ran {
    let output = assert_cmd::Command::from_std(command).timeout(TIME_OUT).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The executable of a bench target. Cargo names those of binaries only, so both are built once and
/// asked for.
pub fn bench(target: &str) -> &'static Path {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    &BUILT.get_or_init(build)[target]
}

fn build() -> HashMap<String, PathBuf> {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--message-format=json-render-diagnostics"])
        .arg("--benches")
        .arg("--target-dir")
        .arg(target_dir);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    messages
        .map(|line| serde_json::from_slice::<Value>(line).unwrap())
        .filter(|message| message["target"]["kind"][0] == "bench")
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}
