//! A side of a comparison of stored runs: read from run folders, or from one of Criterion's
//! baselines.

pub mod criterion;
pub mod runs;

use super::comparison::{Side, Times};
use crate::files::cannot;
use crate::stats::{mean, median};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A side, whatever it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its name and what is in it.
    pub side: Side,
    /// Whether it was measured on a host, which does other things as well.
    pub is_host: bool,
    /// What has to be the same on the other side: what, and how it is here.
    pub conditions: BTreeMap<String, String>,
    /// What may differ, and is worth a remark.
    pub circumstances: BTreeMap<String, String>,
    /// Its cases by id.
    pub cases: BTreeMap<String, Case>,
    /// What to know of it.
    pub notes: Vec<String>,
}

/// A case on one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// The runs that timed it.
    pub runs: Vec<Run>,
    /// The names of its kernels in the last of them.
    pub kernels: Vec<String>,
    /// Why it has no time, where no run timed it.
    pub error: Option<String>,
    /// What makes its times doubtful.
    pub flags: Vec<String>,
}

/// A case in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// `ln` of the median of each trial.
    pub trials: Vec<f64>,
    /// `ln` of the SM clock in MHz that was counted in each; empty where one was not.
    pub clocks: Vec<f64>,
    /// All samples in ms.
    pub samples_ms: Vec<f64>,
}

/// The folders in one, by name.
fn folders_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(cannot("read", dir))?;
    let mut folders: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

impl Run {
    /// From the samples of each trial, in ms; none without any.
    pub fn of(trials: &[&[f64]]) -> Option<Run> {
        let medians: Vec<f64> = trials.iter().filter_map(|trial| median(trial)).collect();
        Run::of_trials(&medians, trials.concat())
    }

    /// From the median of each trial and all samples, in ms; none without any.
    pub fn of_trials(medians_ms: &[f64], samples_ms: Vec<f64>) -> Option<Run> {
        let is_positive =
            medians_ms.iter().chain(&samples_ms).all(|ms| *ms > 0.0 && ms.is_finite());
        (is_positive && !medians_ms.is_empty() && !samples_ms.is_empty()).then(|| Run {
            trials: medians_ms.iter().map(|ms| ms.ln()).collect(),
            clocks: Vec::new(),
            samples_ms,
        })
    }

    /// With the clocks of the trials, in MHz, if there is one for each.
    pub fn with_clocks(self, mhz: &[f64]) -> Run {
        match mhz.len() == self.trials.len() {
            true => Run { clocks: mhz.iter().map(|mhz| mhz.ln()).collect(), ..self },
            false => self,
        }
    }

    /// `ln` of its level: the mean of its trials.
    pub fn level(&self) -> f64 {
        mean(&self.trials).unwrap_or_default()
    }
}

impl Case {
    /// `ln` of the mean clock of all trials; none where one was not counted.
    pub fn clock(&self) -> Option<f64> {
        let clocks: Vec<f64> = self.runs.iter().flat_map(|run| &run.clocks).copied().collect();
        let is_known = self.runs.iter().all(|run| run.clocks.len() == run.trials.len());
        mean(&clocks).filter(|_| is_known)
    }

    /// Times over the samples of all runs.
    pub fn times(&self) -> Option<Times> {
        let samples_ms: Vec<f64> =
            self.runs.iter().flat_map(|run| &run.samples_ms).copied().collect();
        Times::of(&samples_ms)
    }
}
