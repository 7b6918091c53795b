//! Where the time of a run went.

use crate::journal::Run;
use crate::measure::record::Spent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// All of it, the report included; of a merged run, that of all its shards together.
    pub wall_s: f64,
    pub calibrating_s: f64,
    pub planning_s: f64,
    pub filling_s: f64,
    pub verifying_s: f64,
    /// Warming up and taking samples of all kinds, capturing graphs included.
    pub measuring_s: f64,
    /// The part of that for which the device ran launches between two marks.
    pub device_s: f64,
    pub criterion_s: f64,
    pub report_s: f64,
    /// What is left: the journal, progress, and trials made again.
    pub other_s: f64,
    /// `wall_s` over `device_s`; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_over_device: Option<f64>,
}

pub fn of(run: &Run, report_s: f64) -> Breakdown {
    let trials = run.trials.iter().map(|trial| (trial.wall_s, trial.spent));
    let others = run.secondary.iter().map(|secondary| (secondary.wall_s, secondary.spent));
    let energy = run.energy.iter().map(|energy| (energy.wall_s, energy.spent));
    let (walls_s, spent): (Vec<f64>, Vec<Spent>) = trials.chain(others).chain(energy).unzip();
    let sum = |of: fn(&Spent) -> f64| spent.iter().map(of).sum::<f64>();
    let trials_s: f64 = walls_s.iter().sum();
    let (calibrating_s, run_s) = match run.header.env["shards"].as_array() {
        Some(shards) => {
            let sum = |path: &str| shards.iter().filter_map(|s| s.pointer(path)?.as_f64()).sum();
            (sum("/calibration/wall_s"), sum("/wall_s"))
        }
        None => {
            let own = run.header.calibration.and_then(|found| found.wall_s).unwrap_or(0.0);
            (own, run.end.as_ref().map_or(trials_s + own, |end| end.wall_s))
        }
    };
    let criterion_s = run.end.as_ref().and_then(|end| end.criterion_s).unwrap_or_default();
    let spent = Breakdown {
        wall_s: run_s + report_s,
        calibrating_s,
        planning_s: sum(|spent| spent.planning_s),
        filling_s: sum(|spent| spent.filling_s),
        verifying_s: sum(|spent| spent.verifying_s),
        measuring_s: sum(|spent| spent.measuring_s),
        device_s: sum(|spent| spent.gpu_s),
        report_s,
        ..Breakdown::default()
    };
    let known_s = spent.planning_s + spent.filling_s + spent.verifying_s + spent.measuring_s;
    Breakdown {
        criterion_s,
        other_s: (run_s - known_s - calibrating_s - criterion_s).max(0.0),
        wall_over_device: (spent.device_s > 0.0).then(|| spent.wall_s / spent.device_s),
        ..spent
    }
}
