//! A baseline of Criterion's:
//! `<home>/<group>/<function>/<value>/<baseline>/{benchmark,sample}.json`.

use super::{Case, Run, Stored, folders_in};
use crate::compare::comparison::Side;
use crate::journal::{self, runs};
use crate::results::criterion_files::{self, CBenchmark};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// Criterion's folders are this deep at most: group, function and value.
const DEPTH: usize = 3;

/// Consecutive parts that a sample is cut into: Criterion's files do not say what a trial is.
const PARTS: usize = 3;

/// Reads the baseline of every benchmark that has it. `new` is the newest run.
pub fn read(home: &Path, baseline: &str) -> Result<Stored> {
    let mut found = Vec::new();
    let is_name =
        !baseline.is_empty() && !baseline.contains(['/', '\\']) && !baseline.starts_with('.');
    ensure!(is_name, "{baseline:?} is no name of a baseline");
    find(home, baseline, DEPTH, &mut found)?;
    ensure!(
        !found.is_empty(),
        "{}: no benchmark has a baseline {baseline:?}; `cargo bench -- --save-baseline \
         {baseline}` makes it, and `new` is the newest run",
        home.display()
    );
    let cases = found.into_iter().map(|benchmark| (benchmark.id.full_id.clone(), case(&benchmark)));
    Ok(Stored {
        side: Side { name: baseline.to_owned(), runs: vec![baseline.to_owned()], device: None },
        is_host: is_host(home),
        conditions: BTreeMap::new(),
        circumstances: BTreeMap::new(),
        cases: cases.collect(),
        notes: Vec::new(),
    })
}

/// Criterion's files do not say, but the newest of the journals beside them does.
fn is_host(home: &Path) -> bool {
    let newest = runs::newest_in(&home.join("night-sweep")).and_then(|path| journal::read(&path));
    newest.is_ok_and(|run| run.header.device == "cpu")
}

fn find(dir: &Path, baseline: &str, depth: usize, found: &mut Vec<CBenchmark>) -> Result<()> {
    found.extend(criterion_files::read_folder(&dir.join(baseline))?);
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
