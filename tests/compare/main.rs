//! `night-sweep compare`: on runs that never happened, and on files that Criterion wrote.

#![allow(clippy::unwrap_used)]

mod command;
mod conditions;
mod criterion;
mod samples;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../synthetic/mod.rs"]
mod synthetic;

use night_sweep::journal::record::{Header, Line};
use night_sweep::workload::error::ErrorKind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Ran, night_sweep};
use synthetic::{Outcome, g3_case, journal};
use tempfile::TempDir;

/// A sweep of K with these times in ms; none is an error.
fn sweep(times: impl IntoIterator<Item = (usize, Option<f64>)>) -> Vec<Outcome> {
    let outcome = |(k, ms): (usize, Option<f64>)| {
        (g3_case(64, 64, k), ms.ok_or((ErrorKind::Cuda, "illegal address")))
    };
    times.into_iter().map(outcome).collect()
}

struct Runs {
    root: TempDir,
}

impl Runs {
    fn new() -> Runs {
        Runs { root: tempfile::tempdir().unwrap() }
    }

    /// The folder of a run with these outcomes and noise of its own, and a changed header.
    fn of(&self, id: &str, outcomes: &[Outcome], change: impl Fn(&mut Header)) -> String {
        let (mut header, mut lines) = journal("G3", outcomes);
        change(&mut header);
        let mut rng = ChaCha8Rng::seed_from_u64(id.bytes().map(u64::from).sum());
        for line in &mut lines {
            if let Line::Trial(trial) = line {
                let factor = 1.0 + 0.002 * (rng.random::<f64>() - 0.5);
                trial.samples_ms.iter_mut().for_each(|ms| *ms *= factor);
            }
        }
        self.write(id, header, &lines)
    }

    /// The folder of a run called `id`, below the folders that it names.
    fn write(&self, id: &str, header: Header, lines: &[Line]) -> String {
        let (below, name) = id.rsplit_once('/').unwrap_or(("", id));
        let header = Header { run_id: name.to_owned(), ..header };
        let folder = self.root.path().join(below).join(&header.group).join(name);
        let run = synthetic::run(header, lines);
        synthetic::write_results(&folder, &synthetic::results(&run).0, &run.env());
        folder.to_str().unwrap().to_owned()
    }
}

fn compare(base: &str, cand: &str, more: &[&str]) -> Ran {
    night_sweep(&[&["compare", base, cand], more].concat())
}

/// A sweep in which one case got slower on other kernels, one faster, one broke and one is new.
fn changed() -> (Vec<Outcome>, Vec<Outcome>) {
    let ms = |k: usize| 0.1 + k as f64 * 1e-3;
    let base = sweep((64..90).map(|k| (k, Some(ms(k)))));
    let cand = sweep((65..91).map(|k| {
        let factor = if k == 80 { 0.8 } else { 1.0 };
        (k, (k != 70).then(|| ms(k) * factor))
    }));
    (base, cand)
}
