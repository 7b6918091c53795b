//! A gate under way: its pairs, measured or read from where an interrupted gate left them.

use super::identity::Identity;
use super::noise_floor::Place;
use super::pairs::{self, PairRecord, name};
use super::process::{self, Case, Record, Timed};
use super::request::Request;
use crate::compare::pair2::{Ask, Pair, Stage};
use crate::process::child::{Watch, exactly};
use crate::process::signals::Signals;
use crate::process::state::State;
use crate::stats::{mean, median};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A process that takes so many times as long as the longest before it hangs, ...
const HANGS: f64 = 10.0;
/// ... and at least so long.
const LEAST_LIMIT: Duration = Duration::from_secs(60);
/// The first of all may compile its kernels.
const FIRST_LIMIT: Duration = Duration::from_secs(1800);

pub struct Gate<'a> {
    pub request: &'a Request,
    pub state: State,
    /// Of the screen and the suite, and of the confirmation.
    pub specs: [PathBuf; 2],
    pub ids: Vec<String>,
    pub pairs: BTreeMap<(Stage, usize), PairRecord>,
    pub builds: Vec<Identity>,
    pub signals: &'a Signals,
    pub say: &'a dyn Fn(&str),
}

impl Gate<'_> {
    pub fn pair(&mut self, ask: &Ask) -> Result<Pair> {
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
        let ids = || ask.cases.iter().map(|&case| &*self.ids[case]);
        let difference = |id: &str| Some(record.cand.level(id)? - record.base.level(id)?);
        let clock = |id: &str| Some((record.cand.sm_mhz(id)? / record.base.sm_mhz(id)?).ln());
        let kind = |id: &str| record.base.timed(id).map_or_else(Vec::new, |it| it.kernels.clone());
        let pair = Pair {
            differences: ids().map(difference).collect(),
            clocks: ids().map(clock).collect(),
            kinds: ids().map(kind).collect(),
        };
        self.pairs.insert(key, record);
        Ok(pair)
    }

    /// Refuses builds that are not those of the pairs before.
    fn ensure_same(&mut self) -> Result<()> {
        self.builds.iter_mut().try_for_each(Identity::ensure_same)
    }

    /// How long a process may take, if the longest before took so many seconds.
    fn limit(&self, longest_s: f64) -> Duration {
        let derived = match longest_s > 0.0 {
            true => Duration::from_secs_f64(HANGS * longest_s).max(LEAST_LIMIT),
            false => FIRST_LIMIT,
        };
        self.request.limit.unwrap_or(derived)
    }

    fn measure(&mut self, ask: &Ask) -> Result<PairRecord> {
        self.ensure_same()?;
        let base = &self.request.base;
        let cand = self.request.cand.as_ref().unwrap_or(base);
        let (first, second) = if ask.base_first { (base, cand) } else { (cand, base) };
        // Stages differ in their seeds too: fresh pairs have fresh data.
        let seed = self.request.seed + 1000 * ask.stage as u64 + ask.pair as u64;
        let only = || exactly(ask.cases.iter().map(|&case| &*self.ids[case]));
        let (spec, filter) = match ask.stage {
            Stage::Screen => (&self.specs[0], self.request.filter.clone()),
            Stage::Confirm => (&self.specs[1], Some(only())),
            Stage::Shift => (&self.specs[0], Some(only())),
        };
        let start = Instant::now();
        // Not the folder of a gate that was killed, whose process may still be at work there.
        let home = self.state.path(&format!("{}{}", pairs::PROCESS, std::process::id()));
        let mut longest_s = self.records().map(|record| record.wall_s).fold(0.0, f64::max);
        let mut measure = |build| {
            let watch = Watch { signals: self.signals, limit: self.limit(longest_s) };
            let found = process::measure(build, spec, filter.as_deref(), seed, &home, &watch)?;
            longest_s = found.wall_s.max(longest_s);
            anyhow::Ok(found)
        };
        let (first, second) = (measure(first)?, measure(second)?);
        self.ensure_same()?;
        (self.say)(&format!(
            "{} pair {}: {} cases, {:.1} s",
            ask.stage.name(),
            ask.pair + 1,
            ask.cases.len(),
            start.elapsed().as_secs_f64()
        ));
        let (base, cand) = if ask.base_first { (first, second) } else { (second, first) };
        let new = PairRecord { base_first: ask.base_first, base, cand };
        if let Some(before) = self.pairs.values().next() {
            ensure_same_libraries("base", &before.base, &new.base)?;
            ensure_same_libraries("candidate", &before.cand, &new.cand)?;
        }
        Ok(new)
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.pairs.values().flat_map(|pair| [&pair.base, &pair.cand])
    }

    pub fn side(&self, stage: Stage, is_cand: bool) -> impl Iterator<Item = &Record> {
        let pairs = self.pairs.iter().filter(move |((own, _), _)| *own == stage);
        pairs.map(move |(_, pair)| if is_cand { &pair.cand } else { &pair.base })
    }

    /// A case in the processes of one side that timed it.
    pub fn timed(&self, stage: Stage, is_cand: bool, id: &str) -> impl Iterator<Item = &Timed> {
        self.side(stage, is_cand).filter_map(move |record| record.timed(id))
    }

    /// `ln` of time, candidate over base, as it was: the median of the pairs of a stage.
    pub fn raw(&self, stage: Stage, id: &str) -> Option<f64> {
        let pairs = self.pairs.iter().filter(|((own, _), _)| *own == stage);
        let each = pairs.filter_map(|(_, pair)| Some(pair.cand.level(id)? - pair.base.level(id)?));
        median(&each.collect::<Vec<_>>())
    }

    /// The errors of a case in the processes of each side that ran it, and how many did.
    pub fn errors(&self, is_cand: bool, id: &str) -> (Vec<&str>, usize) {
        let mut errors = Vec::new();
        let mut all = 0;
        for ((stage, _), pair) in &self.pairs {
            let record = if is_cand { &pair.cand } else { &pair.base };
            match record.cases.get(id) {
                Some(Case::Failed { error }) => errors.push(error.as_str()),
                // The other stages run some of the cases.
                None if *stage == Stage::Screen => errors.push("not in the journal"),
                None => continue,
                Some(Case::Timed(_)) => {}
            }
            all += 1;
        }
        (errors, all)
    }

    /// `ln` of time and of SM clock, candidate over base, in the mean of the pairs of a stage.
    pub fn uncorrected(&self, stage: Stage, id: &str) -> Option<[f64; 2]> {
        let pairs = self.pairs.iter().filter(|((own, _), _)| *own == stage);
        let each = pairs.filter_map(|(_, PairRecord { base, cand, .. })| {
            let time = cand.level(id)? - base.level(id)?;
            Some((time, (cand.sm_mhz(id)? / base.sm_mhz(id)?).ln()))
        });
        let (times, clocks): (Vec<f64>, Vec<f64>) = each.unzip();
        Some([mean(&times)?, mean(&clocks)?])
    }

    pub fn place(&self) -> Option<Place> {
        let record = self.records().next()?;
        let of = |what: &str| record.conditions.get(what).cloned().unwrap_or_default();
        Some(Place {
            bench: self.request.bench.clone(),
            device: format!("{} {}", record.device_name, of("the GPU uuid")),
            driver: of("the driver"),
        })
    }
}

fn ensure_same_libraries(side: &str, before: &Record, now: &Record) -> Result<()> {
    let of = |record: &Record| (record.pytorch.clone(), record.libraries.clone());
    let ((torch, libraries), now) = (of(before), of(now));
    ensure!(
        torch == now.0 && libraries == now.1,
        "the libraries of the {side} changed since the gate was begun: PyTorch {torch} and {}, \
         libraries {libraries} and {}; remove the state, or choose another with --state",
        now.0,
        now.1
    );
    Ok(())
}
