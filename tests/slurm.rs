//! The scripts in slurm/ on a real cluster, on the CPU at sizes that take no time: `cargo test
//! --test slurm -- --ignored` where `SLURM_CONF` points to one, slurm/dev-cluster.sh's say.

#![allow(clippy::unwrap_used)] // in helpers of tests

use night_sweep::journal::record::Status;
use night_sweep::journal::{self, Run};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A job that is waited for in vain fails its test.
const TIME_OUT: Duration = Duration::from_secs(240);

const SPEC: &str = "\
experiments:
  S1_sdpa_dense_sweep: {type: sdpa_dense, shapes: [{batch: 1, seq_len: 16, n_heads: 1}], head_dim_range: [64, 66], warmup: 1, measure: 2, trials: 2}
  S2_sdpa_backend_forced: {type: sdpa_backend_forced, shape: {batch: 1, seq_len: 16, n_heads: 1}, head_dims: [64, 65], backends: [AUTO, MATH], warmup: 1, measure: 2, trials: 2}
  G3_gemm_k_dense: {type: gemm_k_dense, dtypes: [fp16], shape: {M: 16, N: 16}, K_range: [8, 18], warmup: 1, measure: 2, trials: 2}
  G4_gemm_n_dense_projectionlike: {type: gemm_n_dense, dtypes: [fp16], M_values: [16], K: 16, N_range: [8, 10], warmup: 1, measure: 2, trials: 2}
  P1_padding_rescue: {type: padding_rescue, logical_head_dim: 7, pad_options: [7, 8], sdpa_shape: {batch: 1, seq_len: 16, n_heads: 1}, gemm_shapes: [{M: 16, N: 16, K: 7}], warmup: 1, measure: 2, trials: 2}
  HET1_head_hetero_batching_penalty: {type: hetero_batching, total_N: 64, H: 2, patterns: {uniform: {groups: [{dim: 32, count: 2}]}, mild: {groups: [{dim: 32, count: 1}, {dim: 24, count: 1}]}}, warmup: 1, measure: 2, trials: 2}
  G3_slow: {type: gemm_k_dense, dtypes: [fp16], shape: {M: 256, N: 256}, K_range: [256, 295], warmup: 1, measure: 200, trials: 1}
";

/// A submission folder of its own: the scripts, executables, a spec and the site's settings.
struct Site {
    dir: TempDir,
}

impl Site {
    fn on_cluster() -> Site {
        assert!(
            std::env::var_os("SLURM_CONF").is_some(),
            "set SLURM_CONF: bash slurm/dev-cluster.sh up"
        );
        Site::new()
    }

    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("slurm");
        site.make_dir("slurm");
        site.make_dir("slurm_logs");
        site.make_dir("bin");
        for entry in fs::read_dir(scripts).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, site.path("slurm").join(path.file_name().unwrap())).unwrap();
        }
        let settings = "DEVICE=cpu CPUS=1 MEM=1G TIME=00:10:00\n";
        fs::write(site.path("slurm/site.env"), settings).unwrap();
        fs::write(site.path("spec.yaml"), SPEC).unwrap();
        for (name, executable) in executables() {
            std::os::unix::fs::symlink(executable, site.path("bin").join(name)).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make_dir(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let ours = name.starts_with("NIGHT_SWEEP_") || name == "CRITERION_HOME";
            if ours || (name.starts_with("SLURM_") && name != "SLURM_CONF") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.dir.path());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words[0]).args(&words[1..]).output().unwrap()
    }

    /// Submits one experiment, and returns the number of its job.
    fn submit(&self, options: &[&str], arguments: &[&str]) -> String {
        let own = ["sbatch", "--parsable", "--mem=1G", "--gres=gpu:1"];
        let job = ["slurm/run_experiment.sbatch", "--spec", "spec.yaml", "--bin-dir", "bin"];
        let output = self.run(&[&own, options, &job, arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `NAME=value` of a job, as scontrol tells it.
    fn field(&self, job: &str, name: &str) -> String {
        let output = self.run(&["scontrol", "show", "job", job]);
        let text = String::from_utf8(output.stdout).unwrap();
        let prefix = format!("{name}=");
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(&prefix));
        word.unwrap_or_default().to_owned()
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let since = Instant::now();
        while !done() {
            assert!(since.elapsed() < TIME_OUT, "{what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits for the job to end, and returns its state.
    fn state(&self, job: &str) -> String {
        let ended = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"];
        self.wait("the job ends", || ended.contains(&&*self.field(job, "JobState")));
        self.field(job, "JobState")
    }

    /// What all jobs wrote.
    fn logs(&self) -> String {
        let entries = fs::read_dir(self.path("slurm_logs")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// The journal of a run whose folder of Criterion's has this name.
    fn journal(&self, folder: &str, run_id: &str) -> PathBuf {
        let runs = self.path("target/slurm").join(folder).join("night-sweep");
        runs.join(run_id).join(journal::FILE_NAME)
    }

    fn raw(&self, group: &str, run_id: &str) -> Option<Value> {
        let folder = self.path("target-reports").join(group).join(run_id);
        Some(serde_json::from_str(&fs::read_to_string(folder.join("raw.json")).ok()?).unwrap())
    }
}

/// The benches and `night-sweep`, by name.
fn executables() -> &'static [(String, PathBuf)] {
    static BUILT: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--benches"]);
        cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target_dir);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let mut built: Vec<_> = messages
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .filter(|message| message["target"]["kind"][0] == "bench")
            .filter_map(|message| {
                let name = message["target"]["name"].as_str()?.to_owned();
                Some((name, PathBuf::from(message["executable"].as_str()?)))
            })
            .collect();
        built.push(("night-sweep".to_owned(), env!("CARGO_BIN_EXE_night-sweep").into()));
        built
    })
}

fn trials_in(journal: &Path) -> usize {
    let bytes = fs::read(journal).unwrap_or_default();
    bytes.iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1)
}

fn assert_each_once(run: &Run) {
    let once: HashSet<_> = run.trials.iter().map(|trial| (&trial.case_id, trial.trial)).collect();
    let all = run.header.cases.len() * run.header.protocol.trials;
    assert_eq!((once.len(), run.trials.len()), (all, all));
    assert_eq!(run.end.as_ref().unwrap().status, Status::Complete);
}

#[test]
fn a_job_that_slurm_starts_again_on_another_device_begins_anew_and_loses_nothing() {
    let site = Site::new();
    let start = |restarts: &str, spec: &str| {
        let mut job = site.command("bash");
        job.args(["slurm/run_experiment.sbatch", "--exp", "G3_gemm_k_dense", "--run-id", "night"]);
        job.args(["--bin-dir", "bin", "--spec", spec]);
        job.env("SLURM_JOB_ID", "7").env("SLURM_RESTART_COUNT", restarts);
        let output = job.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let journal = site.journal("night", "night");
    let (code, said) = start("0", "spec.yaml");
    assert_eq!(code, Some(0), "{said}");
    // As if it had been measured elsewhere.
    let text = fs::read_to_string(&journal).unwrap();
    let (before, after) = text.split_once("\"cpu\":\"").unwrap();
    let elsewhere = format!("{before}\"cpu\":\"not {after}");
    fs::write(&journal, &elsewhere).unwrap();

    // Whoever submits it again is to know; and what is wrong on any device leaves all as it is.
    for (restarts, spec, expected) in
        [("0", "spec.yaml", "the processor"), ("1", "none.yaml", "none.yaml")]
    {
        let (code, said) = start(restarts, spec);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(fs::read_to_string(&journal).unwrap(), elsewhere);
    }
    let (code, said) = start("1", "spec.yaml");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the processor") && said.contains("a new run begins"), "{said}");
    let kept = site.path("target/slurm/night/night.before_7_start2");
    assert_eq!(fs::read_to_string(kept.join(journal::FILE_NAME)).unwrap(), elsewhere);
    assert_each_once(&journal::read(&journal).unwrap());
    let old = site.path("target-reports/G3/night.before_7_start2/raw.json");
    assert!(old.exists() && site.path("target-reports/G3/night/raw.json").exists());
    let report = ["bin/night-sweep", "report", kept.to_str().unwrap(), "--results-root", "kept"];
    assert!(site.run(&report).status.success());
    assert!(site.path("kept/G3/night/report.html").exists());
}

#[test]
fn entries_of_any_name_are_launched_by_their_type() {
    let site = Site::new();
    let renamed = SPEC
        .replace("S1_sdpa_dense_sweep", "Llama3_head_dim")
        .replace("HET1_head_hetero_batching_penalty", "My.heads");
    fs::write(site.path("spec.yaml"), renamed).unwrap();
    let dry_run = |more: &[&str]| {
        let launch =
            ["bash", "slurm/launch_all.sh", "--dry-run", "--spec", "spec.yaml", "--bin-dir", "bin"];
        let output = site.run(&[&launch[..], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let launched = |said: &str| -> Vec<String> {
        let jobs = said.lines().filter_map(|line| line.split_once(" --exp "));
        jobs.map(|(_, rest)| rest.split(' ').next().unwrap().to_owned()).collect()
    };
    let (code, said) = dry_run(&[]);
    assert_eq!(code, Some(0), "{said}");
    let first_of_each_bench = [
        "Llama3_head_dim",
        "S2_sdpa_backend_forced",
        "G3_gemm_k_dense",
        "G4_gemm_n_dense_projectionlike",
        "P1_padding_rescue",
        "My.heads",
    ];
    assert_eq!(launched(&said), first_of_each_bench, "{said}");
    let (code, said) = dry_run(&["--only", "G3_slow", "--only", "My.heads"]);
    assert_eq!((code, launched(&said)), (Some(0), vec!["G3_slow".into(), "My.heads".into()]));
    let (code, said) = dry_run(&["--only", "nosuch"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no bench runs nosuch: the spec has Llama3_head_dim "), "{said}");
    let (code, said) = dry_run(&["--spec", "nosuch.yaml"]);
    assert!(code == Some(2) && said.contains("nosuch.yaml"), "{said}");

    let mut job = site.command("bash");
    job.args(["slurm/run_experiment.sbatch", "--exp", "My.heads", "--run-id", "heads"]);
    let output = job.args(["--bin-dir", "bin", "--spec", "spec.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_each_once(&journal::read(&site.journal("heads", "heads")).unwrap());
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_job_measures_and_reports() {
    let site = Site::on_cluster();
    let job = site.submit(&[], &["--exp", "G3_gemm_k_dense"]);
    assert_eq!(site.state(&job), "COMPLETED", "{}", site.logs());
    let run_id = format!("{job}_G3_gemm_k_dense");
    let raw = site.raw("G3", &run_id).unwrap();
    assert_eq!(raw["metadata"]["status"], "complete");
    let env = site.path("target-reports/G3").join(&run_id).join("env.json");
    let env: Value = serde_json::from_str(&fs::read_to_string(env).unwrap()).unwrap();
    assert_eq!(env["slurm"]["SLURM_JOB_ID"], job);
    assert_each_once(&journal::read(&site.journal(&run_id, &run_id)).unwrap());
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_job_that_cannot_measure_fails() {
    let site = Site::on_cluster();
    for (arguments, says) in [
        (&["--exp", "G3_nosuch"][..], "G3_nosuch"),
        (&["--exp", "nosuch"], "no bench runs nosuch"),
        (&["--exp", "G3_gemm_k_dense", "--run-id", "../x"], "--run-id ../x"),
        (
            &["--exp", "G3_gemm_k_dense", "--bin-dir", "nowhere"],
            "there is no night-sweep in nowhere",
        ),
        (&[], "--exp NAME is missing"),
    ] {
        let job = site.submit(&[], arguments);
        assert_eq!(site.state(&job), "FAILED", "{arguments:?}");
        assert!(site.field(&job, "ExitCode").starts_with("2:"), "{arguments:?}");
        assert!(site.logs().contains(says), "{says}: {}", site.logs());
    }
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn six_jobs_and_their_summary() {
    let site = Site::on_cluster();
    let launch =
        ["bash", "slurm/launch_all.sh", "--spec", "spec.yaml", "--bin-dir", "bin", "--wait"];
    let output = site.run(&launch);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", site.logs());
    assert_eq!(stdout.matches("\nok      ").count(), 6, "{stdout}");
    assert!(stdout.contains("6 of 6 runs are complete"), "{stdout}");
    assert!(site.path("target-reports/index.html").is_file());

    // One of them fails: the others stand, the summary says which, and fails.
    fs::remove_file(site.path("bin/g4_gemm_n_dense")).unwrap();
    let output = site.run(&launch);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("5 of 6 runs are complete"), "{stdout}");
    let failed: Vec<_> = stdout.lines().filter(|line| line.starts_with("FAILED ")).collect();
    assert!(matches!(failed[..], [line] if line.contains("G4_gemm_n_dense")), "{stdout}");
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn four_shards_on_the_gpus_there_are_become_one_run() {
    let site = Site::on_cluster();
    let launch =
        ["bash", "slurm/launch_all.sh", "--spec", "spec.yaml", "--bin-dir", "bin", "--wait"];
    let output = site.run(&[&launch[..], &["--array", "4", "--only", "G3_gemm_k_dense"]].concat());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", site.logs());
    assert!(stdout.contains("1 of 1 runs are complete"), "{stdout}");
    let runs: Vec<_> = fs::read_dir(site.path("target-reports/G3")).unwrap().collect();
    assert_eq!(runs.len(), 1, "the shards have no reports of their own");
    let run_id = runs[0].as_ref().unwrap().file_name().into_string().unwrap();
    let run = journal::read(&site.journal(&run_id, &run_id)).unwrap();
    assert_eq!(run.header.cases.len(), 11);
    assert_eq!(run.header.env["shards"].as_array().unwrap().len(), 4);
    assert_each_once(&run);
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_job_out_of_time_is_requeued_and_goes_on() {
    let site = Site::on_cluster();
    let job = site.submit(&[], &["--exp", "G3_slow"]);
    let run_id = format!("{job}_G3_slow");
    let journal = site.journal(&run_id, &run_id);
    site.wait("three trials", || trials_in(&journal) >= 3);
    // What Slurm sends before the time limit.
    assert!(site.run(&["scancel", "--batch", "--signal=USR1", &job]).status.success());
    site.wait("a partial report", || {
        site.raw("G3", &run_id).is_some_and(|raw| raw["metadata"]["status"] == "partial")
    });
    assert_eq!(site.state(&job), "COMPLETED", "{}", site.logs());
    assert_eq!(site.field(&job, "Restarts"), "1");
    let logs = site.logs();
    assert!(logs.contains("stopped by SIGUSR1") && logs.contains("(resumed), start 2"), "{logs}");
    assert_eq!(site.raw("G3", &run_id).unwrap()["metadata"]["status"], "complete");
    assert_each_once(&journal::read(&journal).unwrap());
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_cancelled_job_leaves_a_partial_report_and_can_be_resumed() {
    let site = Site::on_cluster();
    let job = site.submit(&[], &["--exp", "G3_slow", "--run-id", "cancelled"]);
    let journal = site.journal("cancelled", "cancelled");
    site.wait("three trials", || trials_in(&journal) >= 3);
    assert!(site.run(&["scancel", &job]).status.success());
    assert_eq!(site.state(&job), "CANCELLED");
    site.wait("a partial report", || {
        site.raw("G3", "cancelled").is_some_and(|raw| raw["metadata"]["status"] == "partial")
    });
    let stopped = journal::read(&journal).unwrap();
    assert_eq!(stopped.end.as_ref().unwrap().status, Status::Partial);
    assert!(site.logs().contains("NIGHT_SWEEP_RESUME=cancelled"), "{}", site.logs());

    let job = site.submit(&[], &["--exp", "G3_slow", "--run-id", "cancelled"]);
    assert_eq!(site.state(&job), "COMPLETED", "{}", site.logs());
    let run = journal::read(&journal).unwrap();
    assert_eq!(run.trials[..stopped.trials.len()], stopped.trials);
    assert_each_once(&run);
}
