//! Text from outside, wherever it is printed: it does not command the terminal or a CI.

use crate::sandbox::{Ran, SPEC, Sandbox, assert_contains, finish};
use crate::support::json;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Escapes, a bell, marks of direction, nothing of no width, commands to CIs, and very long.
fn hostile() -> String {
    let start = "\u{1b}[2J\u{7}\u{9b}31m\r\n::error::a\n##[error]b\n##vso[c]\u{202e}\u{200b}";
    format!("=1+1{start}\u{e0041}{}", "x".repeat(1_000))
}

/// Puts `text` behind every string in it that `is_wanted`, by its key.
fn spoil(value: &mut Value, text: &str, is_wanted: &impl Fn(&str) -> bool, key: &str) {
    match value {
        Value::String(old) if is_wanted(key) => *old += text,
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, text, is_wanted, key)),
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, item)| spoil(item, text, is_wanted, key));
        }
        _ => {}
    }
}

fn spoil_file(path: &Path, is_wanted: impl Fn(&str) -> bool) {
    let mut value = json(path);
    spoil(&mut value, &hostile(), &is_wanted, "");
    fs::write(path, value.to_string()).unwrap();
}

/// Checks all that was printed, as seen by whoever looks at the log.
#[track_caller]
fn assert_harmless(what: &str, ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let hidden = |c: char| {
            c.is_control() && c != '\n' && c != '\t' || "\u{202e}\u{200b}\u{e0041}".contains(c)
        };
        assert!(!text.contains(hidden), "{what}: {text:?}");
        for line in text.lines() {
            let is_command = |start: &str| line.trim_start().starts_with(start);
            // On a noisy machine there is no answer, which is a warning.
            let own = ["error title=", "notice title=night-sweep", "warning title=night-sweep"];
            let command = line.strip_prefix("::").filter(|_| what.contains("github"));
            let is_ours = command.is_some_and(|it| own.iter().any(|own| it.starts_with(own)));
            assert!(is_ours || !is_command("::"), "{what}: {line}");
            assert!(!line.contains("##[") && !line.contains("##vso["), "{what}: {line}");
        }
        assert!(!text.contains("panicked"), "{what}: {text}");
    }
}

/// Of a run whose strings are of somebody else's making: those that no reader checks.
#[test]
fn what_a_run_holds_is_harmless_in_every_answer() {
    let sandbox = Sandbox::new();
    let fault = [("NIGHT_SWEEP_FAULT", "sticky:/K8"), ("NIGHT_SWEEP_RUN_ID", "hostile")];
    let folder = sandbox.g3_with(&fault, &[]).succeeded().folder();
    let free = "curve series device experiment error warnings findings name cpu hostname os kernel \
                calibration reason kernels selected git_revision started_at backend_selected";
    let is_free = |key: &str| free.split_whitespace().any(|known| known == key);
    let journal = sandbox.journal("hostile");
    let lines = fs::read_to_string(&journal).unwrap();
    let spoilt = lines.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        spoil(&mut line, &hostile(), &|key| is_free(key) && key != "started_at", "");
        line.to_string() + "\n"
    });
    // The last line is its end: without it the run can be resumed, and is listed.
    let spoilt: Vec<String> = spoilt.collect();
    fs::write(&journal, spoilt[..spoilt.len() - 1].concat()).unwrap();
    for name in ["raw.json", "summary.json"] {
        spoil_file(&folder.join(name), is_free);
    }

    let odd = sandbox.dir().join("odd\u{1b}[2J\n::error::x\u{202e}");
    fs::create_dir(&odd).unwrap();
    for name in ["raw.json", "summary.json", "config.json", "env.json"] {
        fs::copy(folder.join(name), odd.join(name)).unwrap();
    }
    let names = json!([{"name": hostile(), "dim": 9}, {"name": "-2+3", "dim": 10}]);
    fs::write(sandbox.dir().join("dims.json"), names.to_string()).unwrap();

    let mut codes = Vec::new();
    for run in [folder.to_str().unwrap(), odd.to_str().unwrap()] {
        let advise = ["advise", run, "--dims-file", "dims.json", "--format"];
        let compare = ["compare", run, run, "--format"];
        let mut all = vec![vec!["summary", run]];
        all.extend(["table", "json", "csv"].map(|format| [&advise[..], &[format]].concat()));
        all.extend(
            ["table", "json", "markdown", "junit", "github", "bencher"]
                .map(|format| [&compare[..], &[format]].concat()),
        );
        all.push(vec!["list", "--runs"]);
        for words in all {
            let ran = sandbox.night_sweep(&words);
            assert_harmless(&words.join(" "), &ran);
            codes.push(ran.code);
            if words[0] == "advise" && words.contains(&"csv") {
                assert_contains(&ran.stdout, &["\n'=1+1", "\n'-2+3,10"]);
            }
        }
    }
    // A noisy machine has no answer.
    let answered = codes.iter().filter(|code| matches!(code, Some(0 | 3))).count();
    assert!(answered >= codes.len() / 2, "{codes:?}: most were refused, and tell nothing");
    assert_harmless("report", &sandbox.night_sweep(&["report", "hostile"]));
    assert_harmless("merge", &sandbox.night_sweep(&["merge", "hostile", "hostile"]));
    assert_harmless("resume", &sandbox.resume("hostile"));
}

#[test]
fn an_id_that_criterion_would_print_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.g3_as("hostile").succeeded();
    let journal = sandbox.journal("hostile");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace("fp16/K8\"", "fp16/K8\\u001b[2J\"")).unwrap();
    for ran in [sandbox.resume("hostile"), sandbox.night_sweep(&["report", "hostile"])] {
        assert_harmless("a case id", &ran);
        ran.refused_for(&["printable characters"]);
    }
}

#[test]
fn what_a_spec_and_a_user_say_is_harmless() {
    let sandbox = Sandbox::new();
    // As YAML escapes it.
    let escaped = hostile().chars().map(|c| format!("\\U{:08x}", c as u32)).collect::<String>();
    let text = format!("\"{escaped}\"");
    let described =
        SPEC.replace("dtypes: [fp16]", &format!("dtypes: [fp16]\n    description: {text}"));
    sandbox.write_spec(&described);
    let list = sandbox.night_sweep(&["list"]).succeeded();
    assert_harmless("list", &list);
    let longest = list.stdout.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 400, "{longest}");

    let typed = SPEC.replace("type: gemm_k_dense", &format!("type: {text}"));
    let keyed = SPEC.replace("K_range:", &format!("{text}:"));
    let named = SPEC.replace("G3_gemm_k_dense:", &format!("{text}:"));
    for spec in [typed, keyed, named] {
        sandbox.write_spec(&spec);
        for words in [&["validate", "spec.yaml"][..], &["list"], &["run", "--all", "--", "--list"]]
        {
            assert_harmless("a spec", &sandbox.night_sweep(words));
        }
        assert_harmless("a spec", &sandbox.g3(&[]));
    }

    sandbox.write_spec(SPEC);
    let short: String = hostile().chars().filter(|c| *c != '\0').take(60).collect();
    for words in [
        vec![&*short],
        vec!["list", "--spec", &short],
        vec!["list", &short],
        vec!["list", "--device", &short],
        vec!["summary", &short],
        vec!["report", &short],
        vec!["run", &short],
        vec!["run", "G3_gemm_k_dense", "--", &short],
        vec!["advise", &short, "--dims", "8"],
        vec!["advise", ".", "--dims", &short],
        vec!["compare", &short, &short],
        vec!["compare", "--criterion", &short, &short],
        vec!["merge", &short, &short],
        vec!["env", "--torch", &short],
        vec!["fan-out", &short],
        vec!["gate", "--bench", &short, "--base", &short, "--cand", &short],
    ] {
        let ran = sandbox.night_sweep(&words);
        assert_harmless(words[0], &ran);
        assert_eq!(ran.code, Some(2), "{words:?}");
    }
    for words in [vec![&*short], vec!["--save-baseline", &short], vec!["--color", &short]] {
        let ran = sandbox.g3(&words);
        assert_harmless("a bench", &ran);
        assert_eq!(ran.code, Some(2), "{words:?}");
    }
}

/// What runs a line of shell where a user stands.
fn shell(sandbox: &Sandbox, line: &str) -> Ran {
    let mut command = sandbox.command(Path::new("sh"));
    command.arg("-c").arg(line);
    finish(command)
}

/// In the place of cargo, and of the `night-sweep` that is installed.
fn programs(sandbox: &Sandbox, cargo: &str) -> PathBuf {
    let bin = sandbox.dir().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("cargo"), format!("#!/bin/sh\n{cargo}\n")).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_night-sweep"), bin.join("night-sweep")).unwrap();
    bin
}

#[test]
fn a_command_that_is_printed_can_be_pasted() {
    let sandbox = Sandbox::new();
    let bin = programs(&sandbox, "echo \"$NIGHT_SWEEP_SPEC:$NIGHT_SWEEP_EXPERIMENT:$*\"");
    let path = format!("export PATH={}:$PATH; ", bin.display());
    let spec = sandbox.dir().join("my 'own' $spec.yaml");
    fs::write(&spec, SPEC).unwrap();
    let list = sandbox.night_sweep(&["list", "--spec", "my 'own' $spec.yaml"]).succeeded();
    let line = list.stdout.lines().find(|line| line.contains("g3_gemm_k_dense")).unwrap();
    let ran = shell(&sandbox, &(path.clone() + line)).succeeded();
    let expected = format!("{}:G3_gemm_k_dense:bench --bench g3_gemm_k_dense\n", spec.display());
    assert_eq!(ran.stdout, expected);

    // A journal in a folder with a space, of a run that cannot be reported.
    let mut command = sandbox.g3_command(&[]);
    let home = sandbox.dir().join("my criterion");
    command.env("CRITERION_HOME", &home).env("NIGHT_SWEEP_RUN_ID", "spaced");
    command.env("NIGHT_SWEEP_REPORT", "no");
    finish(command).succeeded();
    let journal = home.join("night-sweep/spaced/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("{\"line\":\"trial\"", "garbage", 1)).unwrap();
    let refused = sandbox.night_sweep(&["report", journal.to_str().unwrap()]).refused();
    let advice = refused.split('`').find(|part| part.starts_with("sed")).unwrap();
    shell(&sandbox, advice).succeeded();
    sandbox.night_sweep(&["report", journal.to_str().unwrap()]).succeeded();

    // Without a repository there is no `cargo bench`.
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_night-sweep"));
    command.args(["list", "--device", "cpu"]).current_dir(empty.path());
    command.env_remove("NIGHT_SWEEP_SPEC");
    let list = finish(command).succeeded();
    let line = list.stdout.lines().find(|line| line.contains("G3_gemm_k_dense")).unwrap();
    assert!(list.stdout.contains("\n    night-sweep run G3_gemm_k_dense\n"), "{line}");
}
