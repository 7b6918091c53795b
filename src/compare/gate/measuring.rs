//! A gate under way: its pairs, measured or read from where an interrupted gate left them.

use super::noise_floor::Place;
use super::pairs::{self, PairRecord, name};
use super::process::{self, Record, Timed};
use super::request::Request;
use crate::compare::pair2::{Ask, Pair, Stage};
use crate::process::child::exactly;
use crate::process::state::State;
use crate::stats::mean;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

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

    fn measure(&self, ask: &Ask) -> Result<PairRecord> {
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
        let measure = |build| process::measure(build, spec, filter.as_deref(), seed, &home);
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

    /// `ln` of time and of SM clock, candidate over base, in the mean of the pairs of a stage.
    pub fn as_it_was(&self, stage: Stage, id: &str) -> Option<[f64; 2]> {
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
