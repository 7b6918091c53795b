//! The scripts in slurm/ on a real cluster, on the CPU at sizes that take no time: `cargo test
//! --test slurm -- --ignored` where `SLURM_CONF` points to one, slurm/dev-cluster.sh's say.

#![allow(clippy::unwrap_used)] // in helpers of tests

#[allow(dead_code)]
mod support;

use night_sweep::journal::record::Status;
use night_sweep::journal::{self, Run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Ran, assert_contains, benches, json, without_our_variables};
use tempfile::TempDir;

/// A job that is waited for in vain fails its test.
const TIME_OUT: Duration = Duration::from_secs(240);

/// `FAST` is a protocol that takes no time.
const SPEC: &str = "\
experiments:
  S1_sdpa_dense_sweep:
    {type: sdpa_dense, shapes: [{batch: 1, seq_len: 16, n_heads: 1}],
    head_dim_range: [64, 66], FAST}
  S2_sdpa_backend_forced:
    {type: sdpa_backend_forced, shape: {batch: 1, seq_len: 16, n_heads: 1}, head_dims: [64, 65],
    backends: [AUTO, MATH], FAST}
  G3_gemm_k_dense:
    {type: gemm_k_dense, dtypes: [fp16], shape: {M: 16, N: 16}, K_range: [8, 18], FAST}
  G4_gemm_n_dense_projectionlike:
    {type: gemm_n_dense, dtypes: [fp16], M_values: [16], K: 16, N_range: [8, 10], FAST}
  P1_padding_rescue:
    {type: padding_rescue, logical_head_dim: 7, pad_options: [7, 8], FAST,
    sdpa_shape: {batch: 1, seq_len: 16, n_heads: 1}, gemm_shapes: [{M: 16, N: 16, K: 7}]}
  HET1_head_hetero_batching_penalty:
    {type: hetero_batching, total_N: 64, H: 2, FAST, patterns: {
    uniform: {groups: [{dim: 32, count: 2}]},
    mild: {groups: [{dim: 32, count: 1}, {dim: 24, count: 1}]}}}
  G3_slow:
    {type: gemm_k_dense, dtypes: [fp16], shape: {M: 256, N: 256}, K_range: [256, 294],
    K_step_2: 2, warmup: 1, measure: 200, trials: 1}
";

fn spec() -> String {
    SPEC.replace("FAST", "warmup: 1, measure: 2, trials: 2")
}

const LAUNCH: [&str; 6] =
    ["bash", "slurm/launch_all.sh", "--spec", "spec.yaml", "--bin-dir", "bin"];

/// A submission folder of its own: the scripts, executables, a spec and the site's settings.
struct Site {
    dir: TempDir,
}

impl Site {
    fn on_cluster() -> Site {
        let is_set = std::env::var_os("SLURM_CONF").is_some();
        assert!(is_set, "set SLURM_CONF: bash slurm/dev-cluster.sh up");
        Site::new()
    }

    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("slurm");
        for name in ["slurm", "slurm_logs", "bin"] {
            fs::create_dir(site.path(name)).unwrap();
        }
        for entry in fs::read_dir(scripts).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, site.path("slurm").join(path.file_name().unwrap())).unwrap();
        }
        let settings = "DEVICE=cpu CPUS=1 MEM=1G TIME=00:10:00\n";
        fs::write(site.path("slurm/site.env"), settings).unwrap();
        fs::write(site.path("spec.yaml"), spec()).unwrap();
        let night_sweep = ("night-sweep".to_owned(), env!("CARGO_BIN_EXE_night-sweep").into());
        let benches = benches().iter().map(|(name, path)| (name.clone(), path.clone()));
        for (name, executable) in benches.chain([night_sweep]) {
            symlink::<PathBuf, _>(executable, site.path("bin").join(name)).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = without_our_variables(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name != "SLURM_CONF") {
            if name.to_str().is_some_and(|name| name.starts_with("SLURM_")) {
                command.env_remove(name);
            }
        }
        command.current_dir(self.dir.path());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words[0]).args(&words[1..]).output().unwrap().into()
    }

    /// Launches all experiments but for what `more` says, and waits for them.
    fn launch(&self, more: &[&str]) -> Ran {
        self.run(&[&LAUNCH[..], &["--wait"], more].concat())
    }

    /// Runs an experiment as a job does, without Slurm.
    fn job(&self, experiment: &str, run_id: &str, spec: &str, env: &[(&str, &str)]) -> Ran {
        let mut job = self.command("bash");
        job.args(["slurm/run_experiment.sbatch", "--exp", experiment, "--run-id", run_id]);
        job.args(["--bin-dir", "bin", "--spec", spec]).envs(env.iter().copied());
        job.output().unwrap().into()
    }

    fn submit(&self, options: &[&str], arguments: &[&str]) -> String {
        let own = ["sbatch", "--parsable", "--mem=1G", "--gres=gpu:1"];
        let job = ["slurm/run_experiment.sbatch", "--spec", "spec.yaml", "--bin-dir", "bin"];
        let ran = self.run(&[&own, options, &job, arguments].concat()).succeeded();
        ran.stdout.trim().to_owned()
    }

    /// `NAME=value` of a job, as scontrol tells it.
    fn field(&self, job: &str, name: &str) -> String {
        let text = self.run(&["scontrol", "show", "job", job]).stdout;
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

    fn wait_for_partial(&self, run_id: &str) {
        let is_partial = |raw: Value| raw["metadata"]["status"] == "partial";
        self.wait("a partial report", || self.raw("G3", run_id).is_some_and(is_partial));
    }

    fn assert_completes(&self, job: &str) {
        assert_eq!(self.state(job), "COMPLETED", "{}", self.logs());
    }

    fn state(&self, job: &str) -> String {
        let ended = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"];
        self.wait("the job ends", || ended.contains(&&*self.field(job, "JobState")));
        self.field(job, "JobState")
    }

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
        let file = folder.join("raw.json");
        file.exists().then(|| json(&file))
    }
}

fn trials_in(journal: &Path) -> usize {
    let bytes = fs::read(journal).unwrap_or_default();
    bytes.iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1)
}

fn assert_each_once(journal: &Path) -> Run {
    let run = journal::read(journal).unwrap();
    support::assert_each_once(&run);
    run
}

#[test]
fn a_job_that_slurm_starts_again_on_another_device_begins_anew_and_loses_nothing() {
    let site = Site::new();
    let start = |restarts: &str, spec: &str| {
        let slurm = [("SLURM_JOB_ID", "7"), ("SLURM_RESTART_COUNT", restarts)];
        let ran = site.job("G3_gemm_k_dense", "night", spec, &slurm);
        (ran.code, ran.stdout + &ran.stderr)
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
        assert_contains(&said, &[expected]);
        assert_eq!(fs::read_to_string(&journal).unwrap(), elsewhere);
    }
    let (code, said) = start("1", "spec.yaml");
    assert_eq!(code, Some(0), "{said}");
    assert_contains(&said, &["the processor", "a new run begins"]);
    let kept = site.path("target/slurm/night/night.before_7_start2");
    assert_eq!(fs::read_to_string(kept.join(journal::FILE_NAME)).unwrap(), elsewhere);
    assert_each_once(&journal);
    let old = site.path("target-reports/G3/night.before_7_start2/raw.json");
    assert!(old.exists() && site.path("target-reports/G3/night/raw.json").exists());
    let report = ["bin/night-sweep", "report", kept.to_str().unwrap(), "--results-root", "kept"];
    site.run(&report).succeeded();
    assert!(site.path("kept/G3/night/report.html").exists());
}

#[test]
fn entries_of_any_name_are_launched_by_their_type() {
    let site = Site::new();
    let renamed = spec()
        .replace("S1_sdpa_dense_sweep", "Llama3_head_dim")
        .replace("HET1_head_hetero_batching_penalty", "My.heads");
    fs::write(site.path("spec.yaml"), renamed).unwrap();
    let dry_run = |more: &[&str]| {
        let ran = site.run(&[&LAUNCH[..], &["--dry-run"], more].concat());
        (ran.code, ran.stderr)
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
    assert_contains(&said, &["no bench runs nosuch: the spec has Llama3_head_dim "]);
    let (code, said) = dry_run(&["--spec", "nosuch.yaml"]);
    assert!(code == Some(2) && said.contains("nosuch.yaml"), "{said}");

    site.job("My.heads", "heads", "spec.yaml", &[]).succeeded();
    assert_each_once(&site.journal("heads", "heads"));
}

#[test]
fn what_launch_all_takes_is_relative_to_where_one_stands_and_checked_first() {
    let site = Site::new();
    fs::create_dir(site.path("my specs")).unwrap();
    fs::rename(site.path("spec.yaml"), site.path("my specs/spec.yaml")).unwrap();
    // As editors on Windows write it.
    let settings = "\u{feff}# a comment\r\n\r\nPARTITION=dev\r\nGRES=\r\nDEVICE=cpu\r\n";
    fs::write(site.path("my specs/site.env"), settings).unwrap();
    let dry_run = |spec: &str| {
        let mut launch = site.command("bash");
        launch.args(["../slurm/launch_all.sh", "--dry-run", "--bin-dir", "../bin"]);
        launch.args(["--only", "G3_slow", "--spec", spec]).env("SITE_ENV", "site.env");
        let ran: Ran = launch.current_dir(site.path("my specs")).output().unwrap().into();
        (ran.code, ran.stdout + &ran.stderr)
    };
    let (code, said) = dry_run("spec.yaml");
    assert_eq!(code, Some(0), "{said}");
    let folder = site.dir.path().to_str().unwrap();
    assert_contains(
        &said,
        &[
            " --partition=dev ",
            &format!(" --spec {folder}/my\\ specs/spec.yaml "),
            &format!(" --bin-dir {folder}/my\\ specs/../bin\n"),
        ],
    );
    assert!(!said.contains('\r') && !said.contains("--gres"), "{said}");

    fs::write(site.path("my specs/typo.yaml"), spec().replace("K_range", "K_rang")).unwrap();
    fs::write(site.path("my specs/other.yaml"), "experiments: {X: {type: gemm}}").unwrap();
    for (spec, says) in [
        ("nope.yaml", "/my specs/nope.yaml: cannot be read"),
        ("typo.yaml", "did you mean \"K_range\"?"),
        ("other.yaml", "nothing in it can be run: X is of type \"gemm\""),
    ] {
        let (code, said) = dry_run(spec);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says) && !said.contains("sbatch "), "{said}");
    }
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_job_measures_and_reports() {
    let site = Site::on_cluster();
    let job = site.submit(&[], &["--exp", "G3_gemm_k_dense"]);
    site.assert_completes(&job);
    let run_id = format!("{job}_G3_gemm_k_dense");
    let raw = site.raw("G3", &run_id).unwrap();
    assert_eq!(raw["metadata"]["status"], "complete");
    let env = json(&site.path("target-reports/G3").join(&run_id).join("env.json"));
    assert_eq!(env["slurm"]["SLURM_JOB_ID"], job);
    assert_each_once(&site.journal(&run_id, &run_id));
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_job_that_cannot_measure_fails() {
    let site = Site::on_cluster();
    for (arguments, says) in [
        (&["--exp", "G3_nosuch"][..], "G3_nosuch"),
        (&["--exp", "nosuch"], "no bench runs nosuch"),
        (&["--exp", "G3_gemm_k_dense", "--run-id", "../x"], "--run-id ../x"),
        (&["--exp", "G3_slow", "--bin-dir", "nowhere"], "there is no night-sweep in nowhere"),
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
    let stdout = site.launch(&[]).succeeded().stdout;
    assert_eq!(stdout.matches("\nok      ").count(), 6, "{stdout}");
    assert_contains(&stdout, &["6 of 6 runs are complete"]);
    assert!(site.path("target-reports/index.html").is_file());

    // One of them fails: the others stand, the summary says which, and fails.
    fs::remove_file(site.path("bin/g4_gemm_n_dense")).unwrap();
    let stdout = site.launch(&[]).ended_with(1).stdout;
    assert_contains(&stdout, &["5 of 6 runs are complete"]);
    let failed: Vec<_> = stdout.lines().filter(|line| line.starts_with("FAILED ")).collect();
    assert!(matches!(failed[..], [line] if line.contains("G4_gemm_n_dense")), "{stdout}");
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn four_shards_on_the_gpus_there_are_become_one_run() {
    let site = Site::on_cluster();
    let stdout = site.launch(&["--array", "4", "--only", "G3_gemm_k_dense"]).succeeded().stdout;
    assert_contains(&stdout, &["1 of 1 runs are complete"]);
    let runs: Vec<_> = fs::read_dir(site.path("target-reports/G3")).unwrap().collect();
    assert_eq!(runs.len(), 1, "the shards have no reports of their own");
    let run_id = runs[0].as_ref().unwrap().file_name().into_string().unwrap();
    let run = assert_each_once(&site.journal(&run_id, &run_id));
    assert_eq!(run.header.cases.len(), 11);
    assert_eq!(run.header.env["shards"].as_array().unwrap().len(), 4);
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
    site.run(&["scancel", "--batch", "--signal=USR1", &job]).succeeded();
    site.wait_for_partial(&run_id);
    site.assert_completes(&job);
    assert_eq!(site.field(&job, "Restarts"), "1");
    let logs = site.logs();
    assert_contains(&logs, &["stopped by SIGUSR1", "(resumed), start 2"]);
    assert_eq!(site.raw("G3", &run_id).unwrap()["metadata"]["status"], "complete");
    assert_each_once(&journal);
}

/// Slurm gives one task of an array the number of the array itself.
#[test]
#[ignore = "needs a Slurm cluster"]
fn a_task_of_an_array_is_requeued_alone() {
    let site = Site::on_cluster();
    let array = site.submit(&["--array=1-3%1"], &["--exp", "G3_slow", "--shards", "3"]);
    let run = format!("{array}_G3_slow");
    let journal = |task: usize| site.journal(&run, &format!("{run}_{task}of3"));
    let name = |task: usize| format!("{array}_{task}");
    site.wait("two trials of the last task", || trials_in(&journal(3)) >= 2);
    assert_eq!(site.field(&name(3), "JobId"), array);
    site.run(&["scancel", "--batch", "--signal=USR1", &name(3)]).succeeded();
    site.wait("the task is requeued", || site.field(&name(3), "Restarts") == "1");
    site.assert_completes(&name(3));
    for (task, restarts) in [(1, "0"), (2, "0"), (3, "1")] {
        site.assert_completes(&name(task));
        assert_eq!(site.field(&name(task), "Restarts"), restarts, "task {task}");
        assert_each_once(&journal(task));
    }
}

#[test]
#[ignore = "needs a Slurm cluster"]
fn a_cancelled_job_leaves_a_partial_report_and_can_be_resumed() {
    let site = Site::on_cluster();
    let job = site.submit(&[], &["--exp", "G3_slow", "--run-id", "cancelled"]);
    let journal = site.journal("cancelled", "cancelled");
    site.wait("three trials", || trials_in(&journal) >= 3);
    site.run(&["scancel", &job]).succeeded();
    assert_eq!(site.state(&job), "CANCELLED");
    site.wait_for_partial("cancelled");
    let stopped = journal::read(&journal).unwrap();
    assert_eq!(stopped.end.as_ref().unwrap().status, Status::Partial);
    assert!(site.logs().contains("NIGHT_SWEEP_RESUME=cancelled"), "{}", site.logs());

    let job = site.submit(&[], &["--exp", "G3_slow", "--run-id", "cancelled"]);
    site.assert_completes(&job);
    let run = assert_each_once(&journal);
    assert_eq!(run.trials[..stopped.trials.len()], stopped.trials);
}
