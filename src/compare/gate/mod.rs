//! A gate: PAIR2 over processes of two builds.
//!
//! Each process is a bench run as a user runs it, with a protocol of the gate's own, in folders of
//! its own; its times are read from its journal. Both processes of a pair have the same seed: the
//! same data, and the same order of cases.

mod host;
pub mod noise_floor;
pub mod pairs;
pub mod process;
pub mod spec;
mod verdicts;

use super::comparison::Comparison;
use super::pair2::{self, Ask, Pair, Rules, Stage};
use crate::files::{self, write_atomically};
use crate::measure::record::{Protocol, ProtocolKind};
use crate::process::child::{Bench, exactly};
use crate::process::state::State;
use crate::spec::Source;
use anyhow::{Context, Result, ensure};
use noise_floor::{NoiseFloor, Place};
use pairs::{PairRecord, name};
use process::{Case, Record};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is to be judged, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the bench, for people.
    pub bench: String,
    /// What to compare with.
    pub base: Bench,
    /// What to judge; none compares the base with itself, for the noise floor.
    pub cand: Option<Bench>,
    /// The spec whose cases are measured.
    pub spec: Source,
    /// Criterion's filter on the ids of the cases.
    pub filter: Option<String>,
    /// Launches of a trial: warm-up, and measured.
    pub launches: [usize; 2],
    /// Trials of a process, in the screen and in the confirmation.
    pub trials: [usize; 2],
    /// The numbers of the algorithm.
    pub rules: Rules,
    /// Of the first pair; each further one has the next.
    pub seed: u64,
    /// Where the pairs are kept until there is an answer.
    pub state: PathBuf,
    /// The noise floor of the machine: read by a gate of two builds, written by one of a build with
    /// itself.
    pub noise_floor: PathBuf,
}

/// A gate under way.
struct Gate<'a> {
    request: &'a Request,
    state: State,
    /// Of the screen and the suite, and of the confirmation.
    specs: [PathBuf; 2],
    ids: Vec<String>,
    pairs: BTreeMap<(Stage, usize), PairRecord>,
    say: &'a dyn Fn(&str),
}

/// Measures and judges, telling `say` what it is about. What was measured before an interruption is
/// not measured again. The second value is what keeps the pairs: it is for [`close`], once the
/// answer is where it belongs.
///
/// # Errors
/// If a build does not run, the threshold is below the noise floor, or the disk refuses. A slowdown
/// is no error.
pub fn run(request: &Request, say: &dyn Fn(&str)) -> Result<(Comparison, State)> {
    let [warmup, measure] = request.launches;
    let protocols = request.trials.map(|trials| Protocol {
        kind: ProtocolKind::Standard,
        warmup,
        measure,
        trials,
    });
    let specs = protocols.map(|protocol| spec::with_protocol(&request.spec.text, &protocol));
    let specs = specs.into_iter().collect::<Result<Vec<String>>>();
    let specs = specs.with_context(|| request.spec.path.display().to_string())?;
    let floor = NoiseFloor::read(&request.noise_floor)?;
    files::claim(&request.state, &pairs::KIND)?;
    let state = State::open(&request.state, &plan(request, &specs)?, &pairs::PURPOSE)?;
    let paths = pairs::SPECS.map(|name| state.path(name));
    for (path, spec) in paths.iter().zip(&specs) {
        write_atomically(path, spec.as_bytes())?;
    }

    let cases =
        |build: &Bench| build.clone().part(Some(&paths[0])).cases(request.filter.as_deref());
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
    let mut gate = Gate { request, state, specs: paths, ids, pairs: BTreeMap::new(), say };
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
        NoiseFloor::with(floor, &place, &comparison, calibration).write(&request.noise_floor)?;
    }
    Ok((comparison, gate.state))
}

/// Forgets what was measured. Returns what no gate wrote: that stays.
pub fn close(state: State) -> Result<Vec<PathBuf>> {
    files::clear(state.dir(), &pairs::KIND)
}

/// What has to be the same for an interrupted gate to go on.
fn plan(request: &Request, specs: &[String]) -> Result<serde_json::Value> {
    let build = |build: &Bench| -> Result<serde_json::Value> {
        let mut known = build.executable.identity()?;
        known["variables"] = serde_json::json!(variables(build));
        Ok(known)
    };
    Ok(serde_json::json!({
        "bench": request.bench,
        "base": build(&request.base)?,
        "cand": request.cand.as_ref().map(build).transpose()?,
        "specs": specs,
        "filter": request.filter,
        "seed": request.seed,
    }))
}

/// What a build alone finds in its environment: `NAME=VALUE NAME=VALUE`.
fn variables(build: &Bench) -> String {
    let each = build.set.iter().map(|(name, value)| format!("{name}={}", value.to_string_lossy()));
    each.collect::<Vec<_>>().join(" ")
}

impl Gate<'_> {
    /// Measures a pair, unless that was done before.
    fn pair(&mut self, ask: &Ask) -> Result<Pair> {
        let key = (ask.stage, ask.pair);
        let is_of = |record: &PairRecord| {
            let mut ids = ask.cases.iter().map(|&case| &self.ids[case]);
            ids.all(|id| record.base.cases.contains_key(id) && record.cand.cases.contains_key(id))
        };
        // With another threshold there may be other candidates.
        let name = name(ask.stage, ask.pair);
        let record = match self.state.read(&name)?.filter(is_of) {
            Some(record) => record,
            None => {
                let record = self.measure(ask)?;
                self.state.write(&name, &record)?;
                record
            }
        };
        let ids = ask.cases.iter().map(|&case| &*self.ids[case]);
        let difference = |id: &str| Some(record.cand.level(id)? - record.base.level(id)?);
        let differences = ids.map(difference).collect();
        let clock = record.cand.sm_mhz().zip(record.base.sm_mhz());
        let clock = clock.map(|(cand, base)| (cand / base).ln());
        self.pairs.insert(key, record);
        Ok(Pair { differences, clock })
    }

    fn measure(&self, ask: &Ask) -> Result<PairRecord> {
        let base = &self.request.base;
        let cand = self.request.cand.as_ref().unwrap_or(base);
        let (first, second) = if ask.base_first { (base, cand) } else { (cand, base) };
        // Stages differ in their seeds too: fresh pairs have fresh data.
        let seed = self.request.seed + 1000 * ask.stage as u64 + ask.pair as u64;
        let (spec, filter) = match ask.stage {
            Stage::Screen => (&self.specs[0], self.request.filter.clone()),
            Stage::Confirm => (&self.specs[1], Some(self.exactly(ask.cases))),
            Stage::Shift => (&self.specs[0], Some(self.exactly(ask.cases))),
        };
        let start = Instant::now();
        let measure = |build| {
            process::measure(
                build,
                spec,
                filter.as_deref(),
                seed,
                // Not the folder of a gate that was killed, whose process may still be at work
                // there.
                &self.state.path(&format!("{}{}", pairs::PROCESS, std::process::id())),
            )
        };
        let (first, second) = (measure(first)?, measure(second)?);
        (self.say)(&format!(
            "{} pair {}: {} cases, {:.1} s",
            ask.stage.name(),
            ask.pair + 1,
            ask.cases.len(),
            start.elapsed().as_secs_f64()
        ));
        let (base, cand) = if ask.base_first { (first, second) } else { (second, first) };
        Ok(PairRecord { base_first: ask.base_first, base, cand })
    }

    /// A filter that matches these cases and no others.
    fn exactly(&self, cases: &[usize]) -> String {
        exactly(cases.iter().map(|&case| &*self.ids[case]))
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.pairs.values().flat_map(|pair| [&pair.base, &pair.cand])
    }

    /// The records of one side in a stage: the base's, or the candidate's.
    fn side(&self, stage: Stage, is_cand: bool) -> impl Iterator<Item = &Record> {
        let pairs = self.pairs.iter().filter(move |((own, _), _)| *own == stage);
        pairs.map(move |(_, pair)| if is_cand { &pair.cand } else { &pair.base })
    }

    /// Times of a case in the processes of one side, in ms.
    fn times_ms(&self, stage: Stage, is_cand: bool, id: &str) -> Vec<f64> {
        let case = |record: &Record| match record.cases.get(id)? {
            Case::Timed { level_ms, .. } => Some(*level_ms),
            Case::Failed { .. } => None,
        };
        self.side(stage, is_cand).filter_map(case).collect()
    }

    fn place(&self) -> Option<Place> {
        let record = self.records().next()?;
        let of = |what: &str| record.conditions.get(what).cloned().unwrap_or_default();
        Some(Place {
            bench: self.request.bench.clone(),
            device: format!("{} {}", record.device_name, of("the GPU uuid")),
            driver: of("the driver"),
        })
    }
}

/// Where a gate keeps its pairs unless it is told.
pub fn default_state(bench: &str) -> PathBuf {
    Path::new("target/night-sweep-gate").join(bench)
}
