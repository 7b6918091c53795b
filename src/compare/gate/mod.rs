//! A gate: PAIR2 over processes of two builds.
//!
//! Each process is a bench run as a user runs it, with a protocol of the gate's own, in folders of
//! its own; its times are read from its journal. Both processes of a pair have the same seed: the
//! same data, and the same order of cases.

mod identity;
mod measuring;
pub(crate) mod noise_floor;
pub(crate) mod pairs;
pub mod process;
mod request;
pub mod spec;
mod verdicts;

pub use request::{Request, default_state};

use super::comparison::Comparison;
use super::pair2;
use crate::files::{self, write_atomically};
use crate::measure::record::Protocol;
use crate::process::child::{Bench, LIST, Watch};
use crate::process::environment::relevant;
use crate::process::signals::Signals;
use crate::process::state::State;
use anyhow::{Context, Result, ensure};
use identity::Identity;
use measuring::Gate;
use noise_floor::NoiseFloor;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Measures and judges; what an interrupted gate measured is not measured again. The second value
/// keeps the pairs: it is for [`close`], once the answer is where it belongs.
pub fn run(
    request: &Request,
    signals: &Signals,
    say: &dyn Fn(&str),
) -> Result<(Comparison, State)> {
    let [warmup, measure] = request.launches;
    let protocols =
        request.trials.map(|trials| Protocol { kind: request.kind, warmup, measure, trials });
    let specs = protocols.map(|protocol| spec::with_protocol(&request.spec.text, &protocol));
    let specs = specs.into_iter().collect::<Result<Vec<String>>>();
    let specs = specs.with_context(|| request.spec.path.display().to_string())?;
    let floor = NoiseFloor::read(&request.noise_floor)?;
    files::claim(&request.state, &pairs::KIND)?;
    let base = Identity::of(&request.base)?;
    let cand = request.cand.as_ref().map(Identity::of).transpose()?;
    let plan = plan(request, &specs, &base, cand.as_ref());
    let state = State::open(&request.state, &plan, &pairs::PURPOSE)?;
    let builds = [base].into_iter().chain(cand).collect();
    let paths = pairs::SPECS.map(|name| state.path(name));
    for (path, spec) in paths.iter().zip(&specs) {
        write_atomically(path, spec.as_bytes())?;
    }

    let watch = Watch { signals, limit: request.limit.unwrap_or(LIST) };
    let cases = |build: &Bench| {
        build.clone().part(Some(&paths[0])).cases(request.filter.as_deref(), &watch)
    };
    let base_ids = cases(&request.base)?;
    let cand_ids = request.cand.as_ref().map_or_else(|| Ok(base_ids.clone()), cases)?;
    let [of_base, of_cand] = [&base_ids, &cand_ids].map(|ids| ids.iter().collect::<HashSet<_>>());
    let ids: Vec<String> = base_ids.iter().filter(|id| of_cand.contains(id)).cloned().collect();
    ensure!(!ids.is_empty(), "the builds have no case in common that the filter matches");
    let missing = |ids: &[String], there: &HashSet<&String>| -> Vec<String> {
        ids.iter().filter(|id| !there.contains(id)).cloned().collect()
    };
    let (lost, new) = (missing(&base_ids, &of_cand), missing(&cand_ids, &of_base));

    let cases = ids.len();
    let pairs = BTreeMap::new();
    let mut gate = Gate { request, state, specs: paths, ids, pairs, builds, signals, say };
    let mut checked = request.cand.is_none();
    let found = pair2::run(cases, &request.rules, |ask| {
        let pair = gate.pair(&ask)?;
        // The first pair says where this is.
        if !checked
            && let (Some(floor), Some(place)) = (&floor, gate.place())
            && floor.is_of(&place)
        {
            floor.allows(request.rules.threshold.exp_m1())?;
        }
        checked = true;
        Ok(pair)
    })?;
    let place = gate.place().context("a gate has pairs")?;
    let floor = floor.filter(|floor| floor.is_of(&place));
    let comparison = verdicts::of(&gate, &found, floor.as_ref(), (lost, new));
    if request.cand.is_none() {
        let calibration = gate.records().find_map(|record| record.calibration);
        // Another A/A run may have written it meanwhile.
        let floor = NoiseFloor::read(&request.noise_floor)?;
        NoiseFloor::with(floor, &place, &comparison, calibration).write(&request.noise_floor)?;
    }
    Ok((comparison, gate.state))
}

pub fn close(state: State) -> Result<Vec<PathBuf>> {
    files::clear(state.dir(), &pairs::KIND)
}

fn plan(
    request: &Request,
    specs: &[String],
    base: &Identity,
    cand: Option<&Identity>,
) -> serde_json::Value {
    // Its own seeds and protocol are the gate's, and that measures no energy.
    let environment = relevant(&["SEED", "PROTOCOL", "ENERGY"]);
    serde_json::json!({
        "bench": request.bench,
        "base": base.plan,
        "cand": cand.map(|cand| &cand.plan),
        "environment": environment,
        "specs": specs,
        "filter": request.filter,
        "seed": request.seed,
    })
}
