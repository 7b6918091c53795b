//! A sweep in shards, and the run that they are joined to.

use crate::run::assert_complete;
use crate::sandbox::{Ran, Sandbox, assert_contains};
use crate::support::{assert_valid, json, names};
use night_sweep::journal::Run;
use night_sweep::journal::record::{Header, Line, Status};
use std::collections::BTreeSet;
use std::fs;

const SHARDS: usize = 3;
const POINTS: usize = 11;

/// A sandbox in which the shards named `part-1` to `part-3` of 11 points were measured.
fn sharded() -> Sandbox {
    let sandbox = Sandbox::with_sweep(18, 2);
    for index in 1..=SHARDS {
        shard(&sandbox, index, &format!("part-{index}"), &[], &[]).succeeded();
    }
    sandbox
}

fn shard(
    sandbox: &Sandbox,
    index: usize,
    run_id: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Ran {
    let shard = format!("{index}/{SHARDS}");
    let own = [("NIGHT_SWEEP_SHARD", &*shard), ("NIGHT_SWEEP_RUN_ID", run_id)];
    sandbox.g3_with(&[&own, variables].concat(), arguments)
}

fn merge(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    sandbox.night_sweep(&[&["merge"], arguments].concat())
}

fn change(sandbox: &Sandbox, run_id: &str, change: impl Fn(&mut Vec<Line>)) {
    let path = sandbox.journal(run_id);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    change(&mut lines);
    let text: String =
        lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    fs::write(path, text).unwrap();
}

#[test]
fn shards_merged_are_the_sweep() {
    let sandbox = sharded();
    let shards: Vec<Run> = (1..=SHARDS).map(|i| sandbox.run(&format!("part-{i}"))).collect();
    for (index, run) in shards.iter().enumerate() {
        let shard = format!("{}/{SHARDS}", index + 1);
        assert_eq!(run.header.shard.as_ref(), Some(&shard));
        assert!((3..=4).contains(&run.header.cases.len()), "{}", run.header.cases.len());
        let folder = sandbox.results().join("G3").join(&run.header.run_id);
        assert_valid(&folder);
        assert_eq!(json(&folder.join("raw.json"))["metadata"]["shard"], shard);
    }

    // In any order, by run id or by path.
    let path = sandbox.journal("part-1");
    let ran = merge(&sandbox, &["part-3", path.to_str().unwrap(), "part-2", "--run-id", "whole"]);
    let ran = ran.succeeded();
    assert_eq!(ran.run_id(), "whole");
    assert!(!ran.stdout.contains("partial"), "{}", ran.stdout);
    assert_valid(&ran.folder());
    assert_complete(&sandbox, &ran.folder());

    let whole = sandbox.run("whole");
    sandbox.g3_as("alone").succeeded();
    let alone = sandbox.run("alone");
    assert_eq!(whole.header.cases, alone.header.cases, "the same cases in the same order");
    assert_eq!(whole.header.config, alone.header.config);
    assert_eq!(whole.trials.len(), alone.trials.len());
    let trials = |run: &Run| -> BTreeSet<_> {
        run.trials.iter().map(|trial| (trial.case_id.clone(), trial.trial)).collect()
    };
    assert_eq!(trials(&whole), trials(&alone));
    for run in &shards {
        assert!(run.trials.iter().all(|trial| whole.trials.contains(trial)));
    }

    let metadata = ran.json("raw")["metadata"].clone();
    assert!(metadata.get("shard").is_none(), "{metadata}");
    let longest = shards.iter().map(Run::wall_s).fold(0.0, f64::max);
    assert_eq!(metadata["wall_s"].as_f64(), Some(longest));
    let breakdown = ran.json("summary")["breakdown"].clone();
    let all: f64 = shards.iter().map(Run::wall_s).sum();
    assert!(breakdown["wall_s"].as_f64().unwrap() > all, "{breakdown}, {all}");
    assert_eq!(metadata["started_at"], shards[0].header.started_at);
    let env = ran.json("env");
    let of: Vec<_> = env["shards"].as_array().unwrap().iter().map(|of| &of["run_id"]).collect();
    assert_eq!(of, ["part-1", "part-2", "part-3"]);
    assert!(env["settings"].get("NIGHT_SWEEP_SHARD").is_none(), "{env}");

    merge(&sandbox, &["part-1", "part-2", "part-3", "--run-id", "whole"])
        .refused_for(&["cannot begin the run whole: choose another --run-id"]);
    let unnamed = merge(&sandbox, &["part-1", "part-2", "part-3"]).succeeded();
    assert!(unnamed.run_id().ends_with("_G3_gemm_k_dense"), "{}", unnamed.run_id());
}

#[test]
fn what_is_missing_or_there_twice_is_named_and_nothing_is_left() {
    let sandbox = sharded();
    shard(&sandbox, 2, "again", &[], &[]).succeeded();
    shard(&sandbox, 2, "few", &[], &["K1[0-9]"]).succeeded();
    sandbox.g3_as("unsharded").succeeded();
    change(&sandbox, "again", |lines| {
        // As killed before the last trial.
        lines.truncate(lines.len() - 2);
    });
    let before = names(&sandbox.runs());
    for (runs, says) in [
        (&["part-1", "part-3"][..], "shards are missing: 2/3"),
        (&["part-2"], "shards are missing: 1/3, 3/3"),
        (&["part-1", "part-2", "again", "part-3"], "shard 2/3 is there twice: part-2 and again"),
        (&["part-1", "part-1", "part-2", "part-3"], "shard 1/3 is there twice: part-1 and part-1"),
        (&["part-1", "again", "part-3"], "shard 2/3 lacks 1 trials, the first of them G3/"),
        (&["part-1", "again", "part-3"], "NIGHT_SWEEP_RESUME=again"),
        (
            &["part-1", "few", "part-3"],
            "the cases of the whole sweep (11 and 9; by another filter?)",
        ),
        (&["part-1", "unsharded"], "unsharded is no shard"),
        (&["part-1", "nosuch"], "nosuch"),
        (&["../part-1"], "is no journal, no run's folder and no run id"),
        (&["part-1", "part-2", "part-3", "--run-id", "../x"], "--run-id \"../x\": allowed is"),
    ] {
        merge(&sandbox, runs).refused_for(&[says]);
    }
    assert_eq!(names(&sandbox.runs()), before);
}

#[test]
fn shards_of_different_runs_are_not_merged() {
    let sandbox = sharded();
    let runs = ["part-1", "part-2", "part-3"];
    let sound = fs::read(sandbox.journal("part-2")).unwrap();
    let refusal = |what: &str, with: &dyn Fn(&mut Header)| {
        change(&sandbox, "part-2", |lines| {
            let Line::Header(header) = &mut lines[0] else { panic!("the header comes first") };
            with(header);
        });
        let line = merge(&sandbox, &runs).refused();
        assert!(line.contains(what), "{what}: {line}");
        fs::write(sandbox.journal("part-2"), &sound).unwrap();
    };
    refusal("the experiment (\"G3_gemm_k_dense\" and \"G3_x\")", &|h| h.experiment = "G3_x".into());
    refusal("measure of the spec entry (2 and 3)", &|h| h.config["measure"] = 3.into());
    refusal("env is no JSON object", &|h| h.env = serde_json::json!(["gpu"]));
    refusal("config is no JSON object", &|h| h.config = serde_json::json!("G3"));
    refusal("the group (\"G3\" and \"G4\")", &|h| h.group = "G4".into());
    refusal("the seed (42 and 43)", &|h| h.seed = 43);
    refusal("the protocol", &|h| h.protocol.warmup += 1);
    refusal("the device (\"cpu\" and \"cuda\")", &|h| h.device = "cuda:0".into());
    refusal("the GPU (null and \"A100\")", &|h| h.env["gpu"] = serde_json::json!({"name": "A100"}));
    refusal("the driver (null and \"550\")", &|h| {
        h.env["gpu"] = serde_json::json!({"driver_version": "550"});
    });
    refusal("the processor", &|h| h.env["host"]["cpu"] = "another".into());
    refusal("the version of cublas (null and \"13.1\")", &|h| {
        h.env["libraries"]["cublas"] = "13.1".into();
    });
    refusal("the version of night_sweep", &|h| h.env["software"]["night_sweep"] = "9.9.9".into());
    refusal("different counts", &|h| h.shard = Some("2/4".into()));
    refusal("allowed is i/n", &|h| h.shard = Some("4/3".into()));
    refusal("the seed (42 and 7), the version of cudnn (null and \"9\")", &|h| {
        h.seed = 7;
        h.env["libraries"]["cudnn"] = "9".into();
    });

    // Journals that were edited.
    let theirs = sandbox.run("part-1").header.cases[0].clone();
    refusal(&format!("{} is there twice", theirs.id), &|h| h.cases.push(theirs.clone()));
    let mut stranger = theirs.clone();
    stranger.id = "G3/M16_N16_fp16/K99".to_owned();
    refusal("K99 of part-2 is no case of the sweep", &|h| h.cases.push(stranger.clone()));
    let untimed = sandbox.run("part-2").header.cases[0].id.clone();
    change(&sandbox, "part-2", |lines| {
        lines.retain(|line| !matches!(line, Line::Trial(trial) if trial.case_id == untimed));
    });
    refusal(&format!("1 cases of the sweep are in none of the shards; {untimed} is one"), &|h| {
        h.cases.retain(|case| case.id != untimed);
    });

    // Nodes may have the same libraries in different places.
    change(&sandbox, "part-2", |lines| {
        let Line::Header(header) = &mut lines[0] else { panic!("the header comes first") };
        header.env["library_paths"] = serde_json::json!({"cublas": "/elsewhere/libcublas.so.13"});
    });
    merge(&sandbox, &runs).succeeded();
    assert_eq!(sandbox.run("part-2").end.unwrap().status, Status::Complete);
}

#[test]
fn a_shard_without_a_row_is_refused_and_lists_are_sharded() {
    let sandbox = Sandbox::new();
    let last = sandbox.g3_with(&[("NIGHT_SWEEP_SHARD", "9/9")], &["K8$"]);
    let list = |index| {
        let shard = format!("{index}/9");
        sandbox.g3_with(&[("NIGHT_SWEEP_SHARD", &shard)], &["--list", "K8$"])
    };
    let refused = (1..9).map(list).chain([last]).filter(|ran| ran.code == Some(2));
    let refused = refused.inspect(|ran| {
        assert_contains(&ran.stderr, &["too few rows for so many shards"]);
    });
    assert_eq!(refused.count(), 8, "one row, nine shards");
}

#[test]
fn a_shard_is_resumed_as_that_shard() {
    let sandbox = sharded();
    let resume = [("NIGHT_SWEEP_RESUME", "part-2"), ("NIGHT_SWEEP_SHARD", "3/3")];
    sandbox.g3_with(&resume, &[]).refused_for(&["cannot resume part-2", "the shard"]);
    assert_eq!(sandbox.run("part-2").open_trials(), []);
    let cases = (1..=SHARDS).map(|i| sandbox.run(&format!("part-{i}")).header.cases.len());
    assert_eq!(cases.sum::<usize>(), POINTS);
    let unnamed = sandbox.g3_with(&[("NIGHT_SWEEP_SHARD", "1/3")], &[]).succeeded();
    assert!(unnamed.run_id().ends_with("_G3_gemm_k_dense_1of3"), "{}", unnamed.run_id());
}

#[test]
fn of_two_merges_into_one_id_one_is_refused() {
    let sandbox = sharded();
    let merge = || merge(&sandbox, &["part-1", "part-2", "part-3", "--run-id", "whole"]);
    let codes = std::thread::scope(|scope| {
        let both = [scope.spawn(merge), scope.spawn(merge)];
        let mut codes = both.map(|thread| thread.join().unwrap().code);
        codes.sort_unstable();
        codes
    });
    assert_eq!(codes, [Some(0), Some(2)]);
    assert_eq!(names(&sandbox.runs().join("whole")), ["journal.jsonl"]);
    assert_eq!(sandbox.run("whole").trials.len(), 2 * POINTS);
}
