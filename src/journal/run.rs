//! What a journal says of its run.

use crate::journal::record::{End, Failure, Header, Start};
use crate::measure::record::{Energy, Secondary, Trial};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Everything a journal says of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What was to be run.
    pub header: Header,
    /// What was timed, in the order measured.
    pub trials: Vec<Trial>,
    /// What was timed in other ways as well.
    pub secondary: Vec<Secondary>,
    /// Whose energy was measured.
    pub energy: Vec<Energy>,
    /// What could not be timed, in the order met.
    pub failures: Vec<Failure>,
    /// Each process that worked on it, in order; a merged run names only the first of its first
    /// shard.
    pub starts: Vec<Start>,
    /// How the run ended; none if it was killed, or resumed and then killed.
    pub end: Option<End>,
    /// The journal itself.
    pub path: PathBuf,
}

impl Run {
    /// What it says of each case.
    pub fn by_case(&self) -> ByCase<'_> {
        ByCase::of(self)
    }

    /// The cases and trials that are neither timed nor settled by a failure.
    pub fn open_trials(&self) -> Vec<(&str, usize)> {
        let timed: HashSet<_> =
            self.trials.iter().map(|trial| (&*trial.case_id, trial.trial)).collect();
        let failed: HashSet<_> = self.failures.iter().map(|failure| &*failure.case_id).collect();
        let ids = self.header.cases.iter().map(|case| &*case.id).filter(|id| !failed.contains(id));
        ids.flat_map(|id| (0..self.header.protocol.trials).map(move |trial| (id, trial)))
            .filter(|trial| !timed.contains(trial))
            .collect()
    }

    /// The machine as env.json has it: how the run was started, and every time that it was resumed.
    pub fn env(&self) -> Value {
        let mut env = self.header.env.clone();
        if let Some(env) = env.as_object_mut().filter(|env| !env.contains_key("shards")) {
            env.insert("starts".to_owned(), serde_json::json!(self.starts));
        }
        env
    }

    /// Wall-clock seconds: to its end, or of its trials alone where it was killed.
    pub fn wall_s(&self) -> f64 {
        let trials = || {
            let secondary = self.secondary.iter().map(|secondary| secondary.wall_s);
            let energy = self.energy.iter().map(|energy| energy.wall_s);
            self.trials.iter().map(|trial| trial.wall_s).chain(secondary).chain(energy).sum()
        };
        self.end.as_ref().map_or_else(trials, |end| end.wall_s)
    }
}

/// A run by its cases: a sweep has up to 100,000, too many to search the run for each.
pub struct ByCase<'a> {
    trials: HashMap<&'a str, Vec<&'a Trial>>,
    secondary: HashMap<&'a str, &'a Secondary>,
    energy: HashMap<&'a str, &'a Energy>,
    failures: HashMap<&'a str, &'a Failure>,
}

impl<'a> ByCase<'a> {
    fn of(run: &'a Run) -> Self {
        let mut trials: HashMap<&str, Vec<&Trial>> = HashMap::new();
        for trial in &run.trials {
            trials.entry(&trial.case_id).or_default().push(trial);
        }
        trials.values_mut().for_each(|trials| trials.sort_by_key(|trial| trial.trial));
        let mut failures = HashMap::new();
        for failure in &run.failures {
            failures.entry(&*failure.case_id).or_insert(failure);
        }
        let secondary = run.secondary.iter();
        let secondary = secondary.map(|secondary| (&*secondary.case_id, secondary)).collect();
        let energy = run.energy.iter().map(|energy| (&*energy.case_id, energy)).collect();
        ByCase { trials, secondary, energy, failures }
    }

    /// The trials of a case, by trial.
    pub fn trials(&self, case_id: &str) -> &[&'a Trial] {
        self.trials.get(case_id).map_or(&[], Vec::as_slice)
    }

    /// A case timed in other ways.
    pub fn secondary(&self, case_id: &str) -> Option<&'a Secondary> {
        self.secondary.get(case_id).copied()
    }

    /// The energy of a case.
    pub fn energy(&self, case_id: &str) -> Option<&'a Energy> {
        self.energy.get(case_id).copied()
    }

    /// Why a case could not be timed, if it could not: its first failure.
    pub fn failure(&self, case_id: &str) -> Option<&'a Failure> {
        self.failures.get(case_id).copied()
    }
}
