//! A place of its own for each test: a spec, Criterion's folder and a results root, and what is run
//! in it.

use crate::support;
pub use crate::support::{Ran, assert_contains, assert_each_once, finish};
use night_sweep::journal::{self, Run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const G3_IDS: [&str; 5] = [
    "G3/M16_N16_fp16/K8",
    "G3/M16_N16_fp16/K9",
    "G3/M16_N16_fp16/K10",
    "G3/M16_N16_fp16/K11",
    "G3/M16_N16_fp16/K12",
];

pub const TRIALS: usize = 2;

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

/// Folders and files that nothing else uses.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        let sandbox = Sandbox { dir: tempfile::tempdir().unwrap() };
        sandbox.write_spec(SPEC);
        sandbox
    }

    /// A sandbox with [`SPEC`], but K of G3 from 8 to `last` and another number of trials.
    pub fn with_sweep(last: usize, trials: usize) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.write_spec(&spec_with(last, trials));
        sandbox
    }

    pub fn write_spec(&self, text: &str) {
        fs::write(self.spec(), text).unwrap();
    }

    /// Where it all lies, and where its programs run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn spec(&self) -> PathBuf {
        self.dir().join("spec.yaml")
    }

    pub fn criterion_home(&self) -> PathBuf {
        self.dir().join("criterion")
    }

    pub fn runs(&self) -> PathBuf {
        self.criterion_home().join("night-sweep")
    }

    pub fn results(&self) -> PathBuf {
        self.dir().join("results")
    }

    pub fn reports(&self) -> Vec<String> {
        support::names(&self.results().join("G3"))
    }

    pub fn journal(&self, run_id: &str) -> PathBuf {
        self.runs().join(run_id).join("journal.jsonl")
    }

    pub fn run(&self, run_id: &str) -> Run {
        journal::read(&self.journal(run_id)).unwrap()
    }

    /// A program in this sandbox, whatever the variables of whoever runs the tests.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = support::without_our_variables(program);
        command
            .current_dir(self.dir())
            .env("CRITERION_HOME", self.criterion_home())
            .env("NIGHT_SWEEP_RESULTS_ROOT", self.results())
            .env("NIGHT_SWEEP_SPEC", self.spec())
            .env("NIGHT_SWEEP_DEVICE", "cpu");
        command
    }

    /// The G3 bench as `cargo bench` starts it, with these arguments.
    pub fn g3_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(bench("g3_gemm_k_dense"));
        command.arg("--bench").args(arguments);
        command
    }

    /// Runs the G3 bench with these arguments and no other.
    pub fn g3_plain(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(bench("g3_gemm_k_dense"));
        command.args(arguments);
        finish(command)
    }

    pub fn night_sweep_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_night-sweep")));
        command.args(arguments);
        command
    }

    pub fn g3(&self, arguments: &[&str]) -> Ran {
        finish(self.g3_command(arguments))
    }

    pub fn g3_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.g3_command(arguments);
        command.envs(variables.iter().copied());
        finish(command)
    }

    pub fn g3_as(&self, run_id: &str) -> Ran {
        self.g3_with(&[("NIGHT_SWEEP_RUN_ID", run_id)], &[])
    }

    pub fn resume(&self, run_id: &str) -> Ran {
        self.g3_with(&[("NIGHT_SWEEP_RESUME", run_id)], &[])
    }

    pub fn night_sweep(&self, arguments: &[&str]) -> Ran {
        finish(self.night_sweep_command(arguments))
    }

    pub fn report(&self, run_id: &str) -> Ran {
        let root = self.results();
        self.night_sweep(&["report", run_id, "--results-root", root.to_str().unwrap()])
    }

    /// An executable that runs `lines` of shell before it becomes the G3 bench.
    pub fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.dir().join(name);
        let real = bench("g3_gemm_k_dense").display();
        fs::write(&path, format!("#!/bin/sh\n{lines}\nexec {real} \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Somebody else's folder where the results of a run of G3 belong.
    pub fn foreign_folder(&self, run_id: &str) -> PathBuf {
        let folder = self.results().join("G3").join(run_id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("notes.txt"), "precious").unwrap();
        folder
    }

    pub fn assert_untouched(&self) {
        let has_any = |dir: PathBuf| fs::read_dir(dir).is_ok_and(|mut dir| dir.next().is_some());
        assert!(!has_any(self.results()), "there is something in the results root");
        assert!(!has_any(self.criterion_home()), "there is something in Criterion's folder");
    }
}

pub fn spec_with(last: usize, trials: usize) -> String {
    let spec = SPEC.replace("[8, 12]", &format!("[8, {last}]"));
    spec.replace("trials: 2", &format!("trials: {trials}"))
}

pub fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

pub fn send_to(signal: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The process whose id is in a file, while it lives.
pub fn pid_in(file: &Path) -> Option<u32> {
    let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Nobody may wait for one whose parent is gone.
    (!stat.contains(") Z ")).then_some(pid)
}

pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(180), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn ended(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

pub fn bench(target: &str) -> &'static Path {
    &support::benches()[target]
}
