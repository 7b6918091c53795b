//! A gate under way: its pairs, measured or read from where an interrupted gate left them.

use super::noise_floor::Place;
use super::pairs::{self, PairRecord, name};
use super::process::{self, Case, Record};
use super::request::Request;
use crate::compare::pair2::{Ask, Pair, Stage};
use crate::process::child::exactly;
use crate::process::state::State;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// A gate under way.
pub struct Gate<'a> {
    pub request: &'a Request,
    pub state: State,
    /// Of the screen and the suite, and of the confirmation.
    pub specs: [PathBuf; 2],
    pub ids: Vec<String>,
    pub pairs: BTreeMap<(Stage, usize), PairRecord>,
    pub say: &'a dyn Fn(&str),
}

impl Gate<'_> {
    /// Measures a pair, unless that was done before.
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

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.pairs.values().flat_map(|pair| [&pair.base, &pair.cand])
    }

    /// The records of one side in a stage: the base's, or the candidate's.
    pub fn side(&self, stage: Stage, is_cand: bool) -> impl Iterator<Item = &Record> {
        let pairs = self.pairs.iter().filter(move |((own, _), _)| *own == stage);
        pairs.map(move |(_, pair)| if is_cand { &pair.cand } else { &pair.base })
    }

    /// Times of a case in the processes of one side, in ms.
    pub fn times_ms(&self, stage: Stage, is_cand: bool, id: &str) -> Vec<f64> {
        let case = |record: &Record| match record.cases.get(id)? {
            Case::Timed { level_ms, .. } => Some(*level_ms),
            Case::Failed { .. } => None,
        };
        self.side(stage, is_cand).filter_map(case).collect()
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
