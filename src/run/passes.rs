//! The passes over the cases of a run: every trial, secondary timings, energy.

use super::decide;
use super::progress::Progress;
use super::state::State;
use crate::device::{Clocks, Device};
use crate::journal::check::shortened;
use crate::journal::record::{Failure, Line};
use crate::measure::record::ProtocolKind;
use crate::measure::{Instruments, Which, energy, secondary, trial};
use crate::process::signals::{Asked, Signals};
use crate::workload::CaseError;
use anyhow::Result;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// How far the passes came.
pub enum Measured {
    All,
    Stopped(Asked),
    Lost(Failure),
}

/// Measures what is left of each pass, its cases in an order of its own.
pub fn measure(
    with: &Instruments,
    run: &mut State,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Measured> {
    let protocol = run.header.protocol;
    let is_gate = protocol.kind == ProtocolKind::Gate;
    let has_secondary = !is_gate && matches!(with.device, Device::Cuda(_));
    let has_energy = !is_gate && with.energy_counter.is_some();
    let trials = (0..protocol.most_trials()).map(|number| Some(Pass::Trial(number)));
    let others = [has_secondary.then_some(Pass::Secondary), has_energy.then_some(Pass::Energy)];
    for (number, pass) in trials.chain(others).enumerate() {
        let Some(pass) = pass else { continue };
        let mut order = order(run.header.cases.len(), run.header.seed, number);
        order.retain(|index| pass.lacks(run, *index));
        if number >= protocol.trials {
            if matches!(pass, Pass::Trial(_)) {
                // What an earlier process measured of this pass was open when it began.
                let open = decide::open(run, number);
                order.retain(|index| open.contains(index));
            }
            progress.add_trials(order.len());
        }
        if let Some(ended) = make(pass, with, run, signals, progress, order)? {
            return Ok(ended);
        }
    }
    Ok(Measured::All)
}

/// What a pass over the cases makes of each.
#[derive(Clone, Copy)]
enum Pass {
    /// Its trial of this number, from 0.
    Trial(usize),
    /// Its secondary timings.
    Secondary,
    /// Its energy.
    Energy,
}

impl Pass {
    /// Whether a case is yet to be measured in it.
    fn lacks(self, run: &State, index: usize) -> bool {
        match self {
            Pass::Trial(number) => !run.is_settled(index, number),
            Pass::Secondary => run.lacks_secondary(index),
            Pass::Energy => run.lacks_energy(index),
        }
    }

    /// What a case lacks that failed in it, and nothing else: its latency is known.
    fn only(self) -> Option<&'static str> {
        match self {
            Pass::Trial(_) => None,
            Pass::Secondary => Some("secondary times"),
            Pass::Energy => Some("energy"),
        }
    }
}

/// A pass over these cases, in this order; not all of it if something ends the run.
fn make(
    pass: Pass,
    with: &Instruments,
    run: &mut State,
    signals: &Signals,
    progress: &mut Progress,
    order: Vec<usize>,
) -> Result<Option<Measured>> {
    let mut queue: VecDeque<(usize, usize)> = order.into_iter().map(|index| (index, 0)).collect();
    while let Some((index, times_slowed)) = queue.pop_front() {
        if let Some(asked) = signals.asked() {
            return Ok(Some(Measured::Stopped(asked)));
        }
        progress.under_way(&run.header.cases[index].id);
        let line = make_one(pass, with, run, index);
        if is_slowed(&line) && times_slowed < SLOWED_TRIALS {
            queue.push_back((index, times_slowed + 1));
            continue;
        }
        match (next(line, with.is_lost(), signals.asked()), pass.only()) {
            (Next::Keep(Line::Failure(failure)), Some(what)) => {
                progress.say(&format!("{}: no {what}: {}", failure.case_id, failure.error));
                progress.advance();
            }
            (Next::Keep(line), _) => {
                let trials = run.header.protocol.trials;
                let left = match pass {
                    Pass::Trial(number) => trials.saturating_sub(number).max(1),
                    Pass::Secondary | Pass::Energy => 1,
                };
                tell(&line, progress, left);
                run.keep(&line)?;
            }
            (Next::Stop(asked), _) => return Ok(Some(Measured::Stopped(asked))),
            (Next::StartAnew(failure), _) => return Ok(Some(Measured::Lost(failure))),
        }
    }
    Ok(None)
}

fn make_one(pass: Pass, with: &Instruments, run: &State, index: usize) -> Line {
    let (case, protocol) = (&run.header.cases[index], run.header.protocol);
    let earlier = run.trials(index);
    let number = match pass {
        Pass::Trial(number) => number,
        Pass::Secondary | Pass::Energy => earlier.len(),
    };
    let which = Which { number, earlier };
    let made = match (pass, &with.device, &with.energy_counter) {
        (Pass::Secondary, Device::Cuda(cuda), _) => {
            secondary(with, cuda, protocol.kind, case, which).map(Box::new).map(Line::Secondary)
        }
        (Pass::Energy, _, Some(card)) => {
            energy(with, card, case, which).map(Box::new).map(Line::Energy)
        }
        _ => trial(with, protocol, case, which).map(Box::new).map(Line::Trial),
    };
    made.unwrap_or_else(|CaseError { kind, message }| {
        Line::Failure(Failure {
            case_id: case.id.clone(),
            trial: number,
            error_kind: kind,
            error: shortened(&message),
        })
    })
}

#[derive(Debug, PartialEq)]
enum Next {
    Keep(Line),
    Stop(Asked),
    StartAnew(Failure),
}

/// Where the device is lost the process that is started anew records the failure, once it has the
/// device: without one no case is to blame. Nor is one if this process is to stop.
fn next(line: Line, is_lost: bool, asked: Option<Asked>) -> Next {
    match (line, asked) {
        (Line::Failure(_), Some(asked)) if is_lost => Next::Stop(asked),
        (Line::Failure(failure), None) if is_lost => Next::StartAnew(failure),
        (line, _) => Next::Keep(line),
    }
}

fn tell(line: &Line, progress: &mut Progress, trials_left: usize) {
    match line {
        Line::Failure(Failure { case_id, error_kind, error, .. }) => {
            progress.say(&format!("{case_id}: {}: {error}", error_kind.name()));
            progress.drop_trials(trials_left);
        }
        _ => progress.advance(),
    }
}

/// So many trials of a case during which heat or hardware slowed the card are made again later:
/// then one is kept, and flagged. An unbounded wait for a cool card could last all night.
const SLOWED_TRIALS: usize = 2;

fn is_slowed(line: &Line) -> bool {
    matches!(line, Line::Trial(trial) if trial.clocks.as_ref().is_some_and(Clocks::is_slowed))
}

/// The order of the cases in a trial: another permutation each, the same for the same seed.
fn order(cases: usize, seed: u64, trial: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(trial as u64);
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(&mut rng);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::ErrorKind;

    #[test]
    fn each_trial_is_another_permutation_and_the_seed_decides() {
        let sorted = |trial| {
            let mut order = order(100, 42, trial);
            order.sort_unstable();
            order
        };
        assert_eq!(sorted(0), (0..100).collect::<Vec<_>>());
        assert_ne!(order(100, 42, 0), order(100, 42, 1));
        assert_eq!(order(100, 42, 1), order(100, 42, 1));
        assert_ne!(order(100, 42, 0), order(100, 43, 0));
    }

    #[test]
    fn no_case_is_blamed_for_a_lost_device_when_the_run_is_to_stop() {
        let failure = Failure {
            case_id: "G3/x/K107".to_owned(),
            trial: 1,
            error_kind: ErrorKind::Cuda,
            error: "an illegal address".to_owned(),
        };
        let line = || Line::Failure(failure.clone());
        let asked = Asked { by: "SIGTERM", signal: rustix::process::Signal::TERM, code: 75 };
        assert_eq!(next(line(), true, Some(asked)), Next::Stop(asked));
        assert_eq!(next(line(), true, None), Next::StartAnew(failure.clone()));
        assert_eq!(next(line(), false, Some(asked)), Next::Keep(line()));
        assert_eq!(next(line(), false, None), Next::Keep(line()));
    }
}
