//! A baseline of Criterion's:
//! `<home>/<group>/<function>/<value>/<baseline>/{benchmark,sample}.json`.

use super::{Case, Run, Stored, folders_in};
use crate::compare::comparison::Side;
use crate::journal::{self, runs};
use crate::results::criterion_files::{self, CBenchmark, FILES};
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Criterion's folders are this deep at most: group, function and value.
const DEPTH: usize = 3;

/// Consecutive parts that a sample is cut into: Criterion's files do not say what a trial is.
const PARTS: usize = 3;

/// Journals looked into for the cases of `new`.
const JOURNALS: usize = 50;

/// Reads the baseline of every benchmark that has it. `new` is the newest run: what that could not
/// measure has no time, though Criterion keeps that of a run before it. A benchmark whose files are
/// broken is named and left out.
pub fn read(home: &Path, baseline: &str) -> Result<Stored> {
    stored(home, baseline, find_all(home, baseline)?)
}

/// As [`read`], of two baselines: what is left out of one is left out of the other.
pub fn read_both(home: &Path, base: &str, cand: &str) -> Result<(Stored, Stored)> {
    let (mut found, other) = (find_all(home, base)?, find_all(home, cand)?);
    let broken: BTreeSet<PathBuf> =
        found.broken.iter().chain(&other.broken).map(|(folder, _)| folder.clone()).collect();
    let without = |found: Found| {
        let kept = found.benchmarks.into_iter().filter(|(folder, _)| !broken.contains(folder));
        Found { benchmarks: kept.collect(), ..found }
    };
    found = without(found);
    let (base, mut cand) = (stored(home, base, found)?, stored(home, cand, without(other))?);
    leave_out_what_is_of(&base, &mut cand);
    Ok((base, cand))
}

fn stored(home: &Path, baseline: &str, found: Found) -> Result<Stored> {
    let cases = found.benchmarks.iter();
    let mut cases: BTreeMap<String, Case> =
        cases.map(|(_, benchmark)| (benchmark.id.full_id.clone(), case(benchmark))).collect();
    if baseline == "new" {
        leave_out_what_the_newest_run_lacks(home, &mut cases);
    }
    let notes = found.broken.into_iter();
    let notes = notes.map(|(_, broken)| format!("left out, as {baseline} is broken: {broken}"));
    Ok(Stored {
        side: Side { name: baseline.to_owned(), runs: vec![baseline.to_owned()], device: None },
        is_host: is_host(home),
        conditions: BTreeMap::new(),
        circumstances: BTreeMap::new(),
        cases,
        notes: notes.collect(),
    })
}

#[derive(Default)]
struct Found {
    /// By their folders.
    benchmarks: Vec<(PathBuf, CBenchmark)>,
    /// What is wrong with those that cannot be read.
    broken: Vec<(PathBuf, String)>,
}

fn find_all(home: &Path, baseline: &str) -> Result<Found> {
    let mut found = Found::default();
    let is_name =
        !baseline.is_empty() && !baseline.contains(['/', '\\']) && !baseline.starts_with('.');
    ensure!(is_name, "{baseline:?} is no name of a baseline");
    find(home, baseline, DEPTH, &mut found)?;
    let how = match baseline {
        "new" => "`cargo bench` makes it: it is the newest run".to_owned(),
        "change" => "what Criterion keeps there are no times".to_owned(),
        _ => format!("`cargo bench -- --save-baseline {baseline}` makes it"),
    };
    ensure!(
        !found.benchmarks.is_empty(),
        "{}: no benchmark has a baseline {baseline:?}; {how}{}",
        home.display(),
        found.broken.first().map(|(_, broken)| format!(" ({broken})")).unwrap_or_default()
    );
    Ok(found)
}

/// The newest run that has a case says whether it was measured.
fn leave_out_what_the_newest_run_lacks(home: &Path, cases: &mut BTreeMap<String, Case>) {
    let mut open: BTreeSet<String> = cases.keys().cloned().collect();
    for path in runs::newest_first(&home.join("night-sweep")).iter().take(JOURNALS) {
        if open.is_empty() {
            return;
        }
        let Ok(run) = journal::read(path) else { continue };
        let by_case = run.by_case();
        for id in run.header.cases.iter().map(|case| &case.id).filter(|id| open.remove(*id)) {
            if let Some(failure) = by_case.failure(id) {
                let error = format!("{}: {}", failure.error_kind.name(), failure.error);
                cases.insert(id.clone(), Case { error: Some(error), ..Case::default() });
            } else if by_case.trials(id).is_empty() {
                cases.remove(id);
            }
        }
    }
}

/// Leaves out of `cand` what is the measurement of `base` itself: the candidate's run had not these
/// cases, as with a filter. Two names of one run stay what they are.
fn leave_out_what_is_of(base: &Stored, cand: &mut Stored) {
    let is_of_base = |(id, case): (&String, &Case)| {
        base.cases.get(id).is_some_and(|own| !own.runs.is_empty() && own.runs == case.runs)
    };
    let same: Vec<String> =
        cand.cases.iter().filter(|entry| is_of_base(*entry)).map(|(id, _)| id.clone()).collect();
    if same.is_empty() || same.len() == cand.cases.len() {
        return;
    }
    cand.notes.push(format!(
        "{} cases of {} are those of {}: not measured since, and left out",
        same.len(),
        cand.side.name,
        base.side.name
    ));
    same.iter().for_each(|id| drop(cand.cases.remove(id)));
}

/// Criterion's files do not say, but the newest of the journals beside them does.
fn is_host(home: &Path) -> bool {
    let newest = runs::newest_in(&home.join("night-sweep")).and_then(|path| journal::read(&path));
    newest.is_ok_and(|run| run.header.device == "cpu")
}

fn find(dir: &Path, baseline: &str, depth: usize, found: &mut Found) -> Result<()> {
    let files = dir.join(baseline);
    let is_begun = || FILES.iter().any(|name| files.join(name).exists());
    match criterion_files::read_folder(&files) {
        Ok(Some(benchmark)) => found.benchmarks.push((dir.to_owned(), benchmark)),
        Ok(None) if is_begun() => {
            let is_missing = |name: &&&str| !files.join(name).exists();
            let missing: Vec<&str> = FILES.iter().filter(is_missing).copied().collect();
            let (files, missing) = (files.display(), missing.join(" and "));
            found.broken.push((dir.to_owned(), format!("{files}: {missing} is missing")));
        }
        Ok(None) => {}
        Err(error) => found.broken.push((dir.to_owned(), format!("{error:#}"))),
    }
    if depth == 0 {
        return Ok(());
    }
    folders_in(dir)?.iter().try_for_each(|path| find(path, baseline, depth - 1, found))
}

fn case(benchmark: &CBenchmark) -> Case {
    let sample = &benchmark.sample;
    let each_ms: Vec<f64> =
        sample.times.iter().zip(&sample.iters).map(|(time, iters)| time / iters / 1e6).collect();
    let parts = if each_ms.len() >= 2 * PARTS { PARTS } else { 1 };
    let trials: Vec<&[f64]> = each_ms.chunks(each_ms.len().div_ceil(parts).max(1)).collect();
    let run = Run::of(&trials);
    let error = run.is_none().then(|| "Criterion's sample holds no positive time".to_owned());
    Case { runs: run.into_iter().collect(), error, ..Case::default() }
}
