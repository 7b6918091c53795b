//! A run by its cases: a sweep has up to 100,000, too many to search the run for each.

use super::Run;
use crate::journal::record::Failure;
use crate::measure::record::Trial;
use std::collections::HashMap;

/// What a journal says of each case.
pub struct ByCase<'a> {
    trials: HashMap<&'a str, Vec<&'a Trial>>,
    failures: HashMap<&'a str, &'a Failure>,
}

impl<'a> ByCase<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        let mut trials: HashMap<&str, Vec<&Trial>> = HashMap::new();
        for trial in &run.trials {
            trials.entry(&trial.case_id).or_default().push(trial);
        }
        trials.values_mut().for_each(|trials| trials.sort_by_key(|trial| trial.trial));
        let mut failures = HashMap::new();
        for failure in &run.failures {
            failures.entry(&*failure.case_id).or_insert(failure);
        }
        ByCase { trials, failures }
    }

    /// The trials of a case, by trial.
    pub fn trials(&self, case_id: &str) -> &[&'a Trial] {
        self.trials.get(case_id).map_or(&[], Vec::as_slice)
    }

    /// Why a case could not be timed, if it could not: its first failure.
    pub fn failure(&self, case_id: &str) -> Option<&'a Failure> {
        self.failures.get(case_id).copied()
    }
}
