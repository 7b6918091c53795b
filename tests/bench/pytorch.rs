//! Which PyTorch a bench takes, and what it says where it takes none. The tests that need one find
//! it by NIGHT_SWEEP_TEST_TORCH, an environment that `.ci/run` makes.

use crate::sandbox::{Ran, Sandbox, assert_contains, bench, finish};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SPEC: &str = "\
experiments:
  S1_small:
    type: sdpa_dense
    shapes: [{batch: 1, seq_len: 32, n_heads: 2}]
    head_dim_range: [64, 67]
    backend: [AUTO, NS_FASTEST]
    warmup: 1
    measure: 2
    trials: 2
  G3_small:
    type: gemm_k_dense
    dtypes: [fp16, bf16]
    shape: {M: 16, N: 16}
    K_range: [8, 10]
    provider: both
    warmup: 1
    measure: 2
    trials: 2
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_spec(SPEC);
    sandbox
}

fn run(sandbox: &Sandbox, target: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = sandbox.command(bench(target));
    command.arg("--bench").env_remove("VIRTUAL_ENV").env_remove("CONDA_PREFIX");
    command.envs(variables.iter().copied());
    finish(command)
}

fn s1(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Ran {
    run(sandbox, "s1_sdpa_dense", variables)
}

/// An environment with a `torch` whose `version.py` says this, and whose libraries are `library`.
fn environment(sandbox: &Sandbox, name: &str, version_py: &str, library: &[u8]) -> PathBuf {
    let root = sandbox.dir().join(name);
    let package = root.join("lib/python3.12/site-packages/torch");
    fs::create_dir_all(package.join("lib")).unwrap();
    fs::write(package.join("version.py"), version_py).unwrap();
    for name in ["libc10.so", "libtorch_cpu.so"] {
        fs::write(package.join("lib").join(name), library).unwrap();
    }
    root
}

fn version_py(version: &str, hip: &str) -> String {
    format!("__version__ = '{version}'\ncuda: Optional[str] = None\nhip: Optional[str] = {hip}\n")
}

/// A shared library with no function in it.
fn empty_library(sandbox: &Sandbox) -> Vec<u8> {
    let (source, library) = (sandbox.dir().join("empty.c"), sandbox.dir().join("empty.so"));
    fs::write(&source, "").unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().unwrap().success());
    fs::read(library).unwrap()
}

#[test]
fn a_pytorch_that_cannot_serve_is_one_line_and_auto_goes_on_without_it() {
    let sandbox = sandbox();
    let (good, none) = (version_py("2.11.0+cpu", "None"), "None");
    let of = |name: &str, version_py: &str, library: &[u8]| {
        environment(&sandbox, name, version_py, library)
    };
    let empty = empty_library(&sandbox);
    for (name, root, says) in [
        ("old", of("old", &version_py("2.5.1", none), b""), "PyTorch 2.5.1 in"),
        ("rocm", of("rocm", &version_py("2.9.0+rocm6.4", "'6.4'"), b""), "a build for ROCm 6.4"),
        ("broken", of("broken", &good, b"no library"), "does not load"),
        ("empty", of("empty", &good, &empty), "has no aoti_torch_create_tensor_from_blob"),
        ("nothing", of("nothing", "version = 1\n", &empty), "it names no version"),
    ] {
        let path = root.to_str().unwrap();
        let line = s1(&sandbox, &[("NIGHT_SWEEP_TORCH", path)]).refused();
        assert_contains(&line, &["NIGHT_SWEEP_TORCH", says, path]);
        sandbox.assert_untouched();

        let env = [("NIGHT_SWEEP_TORCH", "auto"), ("VIRTUAL_ENV", path)];
        let mut listed = sandbox.night_sweep_command(&["env"]);
        listed.envs(env);
        let listed = finish(listed).succeeded();
        assert_contains(&listed.stderr, &[says]);
        assert!(listed.stdout.contains("\"pytorch\": null"), "{name}: {}", listed.stdout);
    }
    let last = environment(&sandbox, "last", &good, &empty);
    let variables = [("NIGHT_SWEEP_TORCH", "auto"), ("VIRTUAL_ENV", last.to_str().unwrap())];
    let ran = s1(&sandbox, &variables).succeeded();
    assert_contains(&ran.stderr, &["has no aoti_torch_create", "stand-ins"]);
    assert_eq!(ran.json("raw")["measurements"][0]["stand_in"], true);
}

#[test]
fn a_path_without_pytorch_is_refused() {
    let sandbox = sandbox();
    for path in ["/nowhere", sandbox.dir().to_str().unwrap()] {
        let line = s1(&sandbox, &[("NIGHT_SWEEP_TORCH", path)]).refused();
        assert_contains(&line, &["NIGHT_SWEEP_TORCH", path, "no PyTorch there"]);
    }
    let line = s1(&sandbox, &[("NIGHT_SWEEP_TORCH", "")]).refused();
    assert_contains(&line, &["NIGHT_SWEEP_TORCH=\"\"", "unset it"]);
    sandbox.assert_untouched();
}

#[test]
fn each_place_that_was_looked_at_is_named() {
    let sandbox = sandbox();
    let empty = sandbox.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut command = sandbox.night_sweep_command(&["env"]);
    command
        .env("NIGHT_SWEEP_TORCH", "auto")
        .env("VIRTUAL_ENV", &empty)
        .env_remove("CONDA_PREFIX")
        .env("PATH", &empty);
    let ran = finish(command).succeeded();
    let venv = format!("VIRTUAL_ENV: {} has no torch", empty.display());
    assert_contains(&ran.stderr, &[&venv, "CONDA_PREFIX is not set", "python3: it does not start"]);
}

#[test]
fn a_sweep_that_asks_for_pytorch_is_refused_where_there_is_none() {
    let sandbox = sandbox();
    for (from, to, target, name) in [
        ("backend: [", "provider: pytorch\n    backend: [", "s1_sdpa_dense", "S1_small"),
        ("provider: both", "provider: pytorch", "g3_gemm_k_dense", "G3_small"),
    ] {
        sandbox.write_spec(&SPEC.replace(from, to));
        let line = run(&sandbox, target, &[]).refused();
        assert_contains(&line, &[name, "provider pytorch", "NIGHT_SWEEP_TORCH=no"]);
        sandbox.assert_untouched();
    }
}

/// The environment with PyTorch.
fn torch() -> String {
    std::env::var("NIGHT_SWEEP_TEST_TORCH").expect("NIGHT_SWEEP_TEST_TORCH names an environment")
}

#[test]
#[ignore = "needs PyTorch"]
fn attention_and_gemms_of_pytorch_are_timed_and_named() {
    let (sandbox, torch) = (sandbox(), torch());
    let with_torch = [("NIGHT_SWEEP_TORCH", &*torch)];
    let ran = s1(&sandbox, &with_torch).succeeded();
    assert!(!ran.stdout.contains("stand-in") && !ran.stderr.contains("stand-in"), "{}", ran.stdout);
    let (raw, env) = (ran.json("raw"), ran.json("env"));
    let version = env["libraries"]["pytorch"].as_str().unwrap();
    assert!(version.starts_with("2."));
    assert_eq!(env["pytorch"]["version"], version);
    assert!(Path::new(env["pytorch"]["package"].as_str().unwrap()).ends_with("torch"));
    crate::support::assert_valid(&ran.folder());
    let rows = raw["measurements"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let is_ours = row["case_id"].as_str().unwrap().contains("NS_FASTEST");
        assert_eq!(row["provider"], if is_ours { "cpu" } else { "pytorch" });
        assert_eq!(row["pytorch"]["version"].as_str(), (!is_ours).then_some(version));
        assert!(row.get("stand_in").is_none() && row["timing"]["p50"].as_f64().unwrap() > 0.0);
        if !is_ours {
            assert_eq!(row["backend_selected"], "FLASH");
        }
    }

    let ran = run(&sandbox, "g3_gemm_k_dense", &with_torch).succeeded();
    for row in ran.json("raw")["measurements"].as_array().unwrap() {
        assert_eq!(row["provider"], "cpu");
        assert!(row["variants"]["pytorch"]["timing"]["p50"].as_f64().unwrap() > 0.0, "{row}");
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn runs_with_and_without_pytorch_are_not_mixed() {
    let (sandbox, torch) = (sandbox(), torch());
    let with = |run_id: &'static str, torch: &'static str| {
        s1(&sandbox, &[("NIGHT_SWEEP_TORCH", torch), ("NIGHT_SWEEP_RUN_ID", run_id)])
    };
    let torch: &'static str = torch.leak();
    let pytorchs = with("pytorchs", torch).succeeded().folder();
    let stand_ins = with("stand-ins", "no").succeeded().folder();
    let [a, b] = [&pytorchs, &stand_ins].map(|folder| folder.to_str().unwrap());
    let line = sandbox.night_sweep(&["compare", a, b]).refused();
    assert_contains(&line, &["PyTorch in S1_small", "stand-ins", "--allow-mismatch"]);

    let resumed = [("NIGHT_SWEEP_TORCH", "no"), ("NIGHT_SWEEP_RESUME", "pytorchs")];
    let line = s1(&sandbox, &resumed).refused();
    assert_contains(&line, &["cannot resume pytorchs", "the version of pytorch"]);
}
