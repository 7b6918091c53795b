//! The shards of a sweep become one run: `night-sweep merge`. Nothing is joined that one process
//! could not have measured, and nothing is left out: every shard is there once and complete.

use crate::journal::home::runs_folder;
use crate::journal::record::{End, Header, Line, Status};
use crate::journal::runs;
use crate::journal::shard::Shard;
use crate::journal::{self, Claim, Run};
use crate::measure::record::Trial;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// Joins the journals of `shards`, which are run ids or paths, into that of a new run, and returns
/// where it lies.
pub fn merge(shards: &[String], run_id: Option<&str>) -> Result<PathBuf> {
    let read = |shard: &String| journal::read(&runs::journal_of(shard)?);
    let runs = shards.iter().map(read).collect::<Result<Vec<Run>>>()?;
    let runs = in_order(runs)?;
    complete(&runs)?;

    let run_id = match run_id {
        Some(run_id) => runs::run_id(run_id)
            .map_err(|allowed| anyhow!("--run-id {run_id:?}: allowed is {allowed}"))?,
        None => runs::free_run_id(&runs[0].header.experiment)?,
    };
    // As a run does: of two processes one has the claim, and what is there is never replaced.
    let claim = Claim::of(&runs_folder().join(&run_id))
        .with_context(|| format!("cannot begin the run {run_id}: choose another --run-id"))?;
    let journal = claim.start_with(&joined(&runs, run_id)?)?;
    Ok(journal.path().to_owned())
}

fn in_order(runs: Vec<Run>) -> Result<Vec<Run>> {
    let first = runs.first().context("there is no run to merge")?.header.clone();
    let mut by_index: BTreeMap<Shard, Run> = BTreeMap::new();
    for run in runs {
        let header = &run.header;
        let shard = header.shard.as_deref().with_context(|| {
            format!("{} is no shard: it was run without NIGHT_SWEEP_SHARD", header.run_id)
        })?;
        let shard: Shard = shard.parse().map_err(|allowed| {
            anyhow!("{}: its shard is {shard:?}, allowed is {allowed}", header.run_id)
        })?;
        let differs = differences(&first, header);
        ensure!(
            differs.is_empty(),
            "cannot merge {} and {}: they differ in {}",
            first.run_id,
            header.run_id,
            differs.join(", ")
        );
        if let Some(twice) = by_index.get(&shard) {
            let (a, b) = (&twice.header.run_id, &run.header.run_id);
            bail!("shard {shard} is there twice: {a} and {b}");
        }
        by_index.insert(shard, run);
    }
    let counts: BTreeSet<usize> = by_index.keys().map(|shard| shard.count).collect();
    let count = counts.first().copied().unwrap_or_default();
    let all = by_index.iter().map(|(shard, run)| format!("{shard} ({})", run.header.run_id));
    let all: Vec<_> = all.collect();
    ensure!(counts.len() == 1, "cannot merge shards of different counts: {}", all.join(", "));
    let missing: Vec<String> = (1..=count)
        .map(|index| Shard { index, count })
        .filter(|shard| !by_index.contains_key(shard))
        .map(|shard| shard.to_string())
        .collect();
    let list = missing.join(", ");
    ensure!(
        missing.is_empty(),
        "shards are missing: {list}; measure each with NIGHT_SWEEP_SHARD=<i/n>"
    );
    Ok(by_index.into_values().collect())
}

/// What keeps two headers from being parts of one run, each with its two values.
pub fn differences(a: &Header, b: &Header) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, a: &Value, b: &Value| {
        if a != b {
            found.push(format!("{what} ({} and {})", short(a), short(b)));
        }
    };
    let kind = |header: &Header| json!(header.device.split(':').next());
    compare("the group", &json!(a.group), &json!(b.group));
    compare("the experiment", &json!(a.experiment), &json!(b.experiment));
    for key in keys(&a.config, &b.config) {
        compare(&format!("{key} of the spec entry"), &a.config[&key], &b.config[&key]);
    }
    compare("the seed", &json!(a.seed), &json!(b.seed));
    compare("the protocol", &json!(a.protocol), &json!(b.protocol));
    compare("the device", &kind(a), &kind(b));
    for (what, path) in [("the GPU", "/gpu/name"), ("the driver", "/gpu/driver_version")] {
        let at = |header: &Header| header.env.pointer(path).cloned().unwrap_or_default();
        compare(what, &at(a), &at(b));
    }
    if a.device == "cpu" {
        compare("the processor", &a.env["host"]["cpu"], &b.env["host"]["cpu"]);
    }
    for group in ["libraries", "software"] {
        let (a, b) = (&a.env[group], &b.env[group]);
        for key in keys(a, b) {
            match &*key {
                "executable_sha256" => compare("the executable (sha256)", &a[&key], &b[&key]),
                "git_revision" => compare("the git revision", &a[&key], &b[&key]),
                "git_dirty" => compare("changes not committed", &a[&key], &b[&key]),
                _ => compare(&format!("the version of {key}"), &a[&key], &b[&key]),
            }
        }
    }
    if a.sweep != b.sweep {
        let (a, b) = (a.sweep.len(), b.sweep.len());
        found.push(format!("the cases of the whole sweep ({a} and {b}; by another filter?)"));
    }
    found
}

fn keys(a: &Value, b: &Value) -> BTreeSet<String> {
    [a, b].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys().cloned()).collect()
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(66) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn complete(runs: &[Run]) -> Result<()> {
    let mut holder: HashMap<&str, &str> = HashMap::new();
    for run in runs {
        let header = &run.header;
        for case in &header.cases {
            if let Some(other) = holder.insert(&case.id, &header.run_id) {
                bail!("{} is there twice: in {other} and in {}", case.id, header.run_id);
            }
        }
    }
    let sweep: HashSet<&str> = runs[0].header.sweep.iter().map(String::as_str).collect();
    if let Some((id, run_id)) = holder.iter().filter(|(id, _)| !sweep.contains(*id)).min() {
        bail!("{id} of {run_id} is no case of the sweep that it is a shard of");
    }
    let lacking = sweep.iter().filter(|id| !holder.contains_key(**id));
    if let Some(id) = lacking.clone().min() {
        bail!("{} cases of the sweep are in none of the shards; {id} is one", lacking.count());
    }
    let unfinished: Vec<String> = runs.iter().filter_map(unfinished).collect();
    ensure!(unfinished.is_empty(), "cannot merge: {}", unfinished.join("; "));
    Ok(())
}

fn unfinished(run: &Run) -> Option<String> {
    let header = &run.header;
    let open = run.open_trials();
    let shard = header.shard.as_deref().unwrap_or_default();
    let (case_id, trial) = open.first()?;
    Some(format!(
        "shard {shard} lacks {} trials, the first of them {case_id} in trial {trial}: go on with \
         NIGHT_SWEEP_SHARD={shard} NIGHT_SWEEP_RESUME={}",
        open.len(),
        header.run_id
    ))
}

/// The lines of the merged journal: the cases in the order of the spec, the trials in the order
/// measured.
fn joined(runs: &[Run], run_id: String) -> Result<Vec<Line>> {
    let started = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let first = &runs[0].header;
    let place: HashMap<&str, usize> =
        first.sweep.iter().enumerate().map(|(place, id)| (&**id, place)).collect();
    let mut cases: Vec<_> = runs.iter().flat_map(|run| run.header.cases.clone()).collect();
    cases.sort_by_key(|case| place.get(&*case.id).copied());
    let earliest = runs.iter().map(|run| &run.header.started_at).min_by_key(|text| started(text));
    let header = Header {
        run_id,
        shard: None,
        sweep: Vec::new(),
        started_at: earliest.context("a shard")?.clone(),
        env: env(runs),
        cases,
        ..first.clone()
    };

    let mut trials: Vec<Trial> = runs.iter().flat_map(|run| run.trials.clone()).collect();
    trials.sort_by_cached_key(|trial| started(&trial.started_at));
    let mut lines = vec![Line::Header(Box::new(header))];
    lines.extend(trials.into_iter().map(|trial| Line::Trial(Box::new(trial))));
    let secondary = runs.iter().flat_map(|run| run.secondary.clone());
    lines.extend(secondary.map(|secondary| Line::Secondary(Box::new(secondary))));
    let energy = runs.iter().flat_map(|run| run.energy.clone());
    lines.extend(energy.map(|energy| Line::Energy(Box::new(energy))));
    lines.extend(runs.iter().flat_map(|run| run.failures.clone()).map(Line::Failure));
    let wall_s = runs.iter().map(Run::wall_s).fold(0.0, f64::max);
    let criterion_s =
        runs.iter().filter_map(|run| run.end.as_ref()?.criterion_s).reduce(|a, b| a + b);
    lines.push(Line::End(End { status: Status::Complete, wall_s, criterion_s }));
    Ok(lines)
}

/// The environment of the first shard, without what is each shard's own: that stands in `shards`.
fn env(runs: &[Run]) -> Value {
    let shards: Vec<Value> = runs
        .iter()
        .map(|run| {
            let Header { run_id, shard, device, env, calibration, .. } = &run.header;
            json!({
                "run_id": run_id,
                "shard": shard,
                "device": device,
                "hostname": env["host"]["hostname"],
                "gpu_uuid": env["gpu"]["uuid"],
                "slurm": env["slurm"],
                "starts": run.starts,
                "wall_s": run.wall_s(),
                "calibration": calibration,
            })
        })
        .collect();
    let mut env = runs[0].header.env.clone();
    if let Some(settings) = env["settings"].as_object_mut() {
        let own = ["SHARD", "RUN_ID", "RESUME"].map(|name| format!("NIGHT_SWEEP_{name}"));
        settings.retain(|name, _| !own.contains(name) && name != "CUDA_VISIBLE_DEVICES");
    }
    env["slurm"] = Value::Null;
    env["shards"] = Value::Array(shards);
    env
}
