//! The level of a case on a host that does other things as well.
//!
//! A neighbour makes everything slower, by half and more, for seconds on end: in one process of a
//! pair and not in the other, and then again in the other. It does so to all cases of a trial
//! alike, which one process measures one after the other. So each trial says how a case compares
//! with the others in it, and the fastest trial how fast the process was.

use crate::compare::pair2::MIN_SUITE;
use crate::compare::side::Stored;
use crate::stats::{deviation_of, mean, median};
use std::collections::BTreeMap;

/// The level of each case, from `trials[case][trial]`: `ln` of its fastest sample in each trial,
/// for a neighbour only ever adds time. All cases have the same trials; few of them say nothing of
/// each other.
pub fn levels(trials: &[Vec<f64>]) -> Vec<f64> {
    let middles = match trials.len() {
        0..MIN_SUITE => vec![0.0; trials.first().map_or(0, Vec::len)],
        _ => middles(trials),
    };
    let whole = middles.iter().copied().reduce(f64::min).unwrap_or_default();
    let level = |case: &Vec<f64>| {
        let beside: Vec<f64> =
            case.iter().zip(&middles).map(|(own, middle)| own - middle).collect();
        median(&beside).unwrap_or_default() + whole
    };
    trials.iter().map(level).collect()
}

/// The median of all cases in each trial. A case may lack the last trials.
fn middles(cases: &[impl AsRef<[f64]>]) -> Vec<f64> {
    let count = cases.iter().map(|trials| trials.as_ref().len()).max().unwrap_or_default();
    let middle = |trial: usize| {
        let levels: Vec<f64> =
            cases.iter().filter_map(|trials| trials.as_ref().get(trial).copied()).collect();
        median(&levels).unwrap_or_default()
    };
    (0..count).map(middle).collect()
}

/// What single runs on a host leave open: it does other things as well, for longer than a run
/// lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// The cases are too few to tell one of them from the host.
    TooFew,
    /// `ln` of how far all of them moved together, within a run or between the two.
    Moved(f64),
}

/// From here on the host may be why all cases moved: they did so in 272 of 336 comparisons of one
/// build with itself, on two cores, half of the runs beside a compiler.
const OF_SUITE: f64 = 0.05;
/// From here on single cases move by themselves as well. With this limit 2 of 448 such comparisons,
/// those of few cases included, find a regression.
const OF_CASES: f64 = 0.15;

/// From here on, cases that all moved alike by so much are the build's: a host moves each by
/// something else (on two busy cores by 60 % apart, as a robust deviation).
const OF_BUILD: f64 = 0.20;
/// So far apart, as a robust deviation, they moved alike.
const ALIKE: f64 = 0.01;

/// Whether these cases, by `ln` of candidate over base, all got slower by as much as no host does.
pub fn are_slower_alike(differences: &[f64]) -> bool {
    let Some(middle) = median(differences).filter(|_| differences.len() >= MIN_SUITE) else {
        return false;
    };
    let distances: Vec<f64> = differences.iter().map(|own| (own - middle).abs()).collect();
    let apart = deviation_of(&distances);
    middle >= OF_BUILD.ln_1p() && apart.is_some_and(|apart| apart <= ALIKE)
}

impl Doubt {
    /// From what [`take_off_load`] says of both sides, and the ratio of their suites.
    pub fn of(load: [Option<f64>; 2], suite: Option<f64>) -> Doubt {
        match (load, suite) {
            ([Some(base), Some(cand)], Some(suite)) => {
                Doubt::Moved(base.max(cand).max(suite.ln().abs()))
            }
            _ => Doubt::TooFew,
        }
    }

    /// Whether nothing can be said of the suite as a whole.
    pub fn is_of_suite(self) -> bool {
        self.is_beyond(OF_SUITE)
    }

    /// Whether nothing can be said of a case.
    pub fn is_of_cases(self) -> bool {
        self.is_beyond(OF_CASES)
    }

    fn is_beyond(self, limit: f64) -> bool {
        match self {
            Doubt::TooFew => true,
            Doubt::Moved(moved) => moved >= limit.ln_1p(),
        }
    }

    /// What the user should know of it.
    pub fn note(self) -> Option<String> {
        let advice = "pair the builds with `night-sweep gate`, which repeats them in turn";
        match self {
            Doubt::TooFew => Some(format!(
                "fewer than {MIN_SUITE} cases do not tell a slower case from a busier host: \
                 {advice}"
            )),
            Doubt::Moved(moved) => self.is_of_suite().then(|| {
                let percent = moved.exp_m1() * 100.0;
                format!(
                    "a busy host: all cases together moved by {percent:.0} % within a run or \
                     between the two; {advice}"
                )
            }),
        }
    }
}

/// Takes off each trial of single runs what it did to all cases alike, as far as enough of them say
/// it; `ln` of how far that moved between the trials. None where the cases of an experiment are too
/// few to tell one of them from the host.
pub fn take_off_load(side: &mut Stored) -> Option<f64> {
    // A side may hold several experiments, measured one after the other.
    let mut experiments: BTreeMap<String, Vec<&mut Vec<f64>>> = BTreeMap::new();
    for (id, case) in &mut side.cases {
        let group = id.split('/').next().unwrap_or_default().to_owned();
        if let [run] = &mut case.runs[..] {
            experiments.entry(group).or_default().push(&mut run.trials);
        }
    }
    let mut moved = Some(0.0_f64);
    for cases in experiments.values_mut() {
        if cases.len() < MIN_SUITE {
            moved = None;
            continue;
        }
        let middles = middles(cases);
        let whole = mean(&middles).unwrap_or_default();
        for levels in cases.iter_mut().flat_map(|trials| trials.iter_mut().zip(&middles)) {
            *levels.0 += whole - levels.1;
        }
        let (low, high) = middles
            .iter()
            .fold((whole, whole), |(low, high), middle| (low.min(*middle), high.max(*middle)));
        moved = moved.map(|moved| moved.max(high - low));
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_a_neighbour_does_to_a_trial_says_nothing_of_a_case() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut process = |slowdown: f64| {
            let loads: Vec<f64> = (0..16).map(|_| 0.5 * rng.random::<f64>()).collect();
            let case = |case: usize| -> Vec<f64> {
                let own = case as f64 + if case == 3 { slowdown } else { 0.0 };
                loads.iter().map(|load| own + load).collect()
            };
            levels(&(0..8).map(case).collect::<Vec<_>>())
        };
        let (base, cand) = (process(0.0), process(0.05));
        let differences: Vec<f64> =
            cand.iter().zip(&base).map(|(cand, base)| cand - base).collect();
        let suite = median(&differences).unwrap();
        for (case, difference) in differences.iter().enumerate() {
            let expected = if case == 3 { 0.05 } else { 0.0 };
            assert!((difference - suite - expected).abs() < 1e-9, "{case}: {difference}");
        }
    }

    #[test]
    fn a_suite_that_slows_down_does_so_in_its_levels() {
        let trials = |level: f64| vec![vec![level; 4]; 6];
        assert_eq!(levels(&trials(1.5)), vec![1.5; 6]);
        assert_eq!(levels(&[vec![1.0, 2.0, 4.0]]), [2.0], "one case stands for itself");
        assert!(levels(&[]).is_empty());
    }
}
