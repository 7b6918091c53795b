//! PAIR2: whether a candidate build got slower than a base build, from pairs of processes.
//!
//! ```text
//! 4 pairs, all cases --> screen --> flagged --> 6 fresh pairs --> confirmed, or 6 more --> verdict
//!                          |
//!                          +--> the suite as a whole moved? --> 12 pairs of 20 cases
//! ```
//!
//! The unit of data is `ln` of a case's median in one process: launches of one process agree with
//! each other far better than with those of the next, so it is processes that have to be repeated.
//! They run in adjacent pairs, base first in one and candidate first in the next, so that a drift
//! cancels. Times are compared at equal clocks, see [`super::clock`]. The screen flags cases with
//! moderated variances; what confirms them are fresh pairs
//! alone, so that the luck that flagged a case does not count twice.
//!
//! [`run`] asks for one pair after the other and knows nothing of processes: the tests let it ask a
//! simulation.

pub(crate) mod confirm;
pub(crate) mod floor;
mod rules;
pub(crate) mod screen;
pub(crate) mod shift;
#[cfg(test)]
mod simulation;

use rules::elasticities;
pub use rules::{Ask, MIN_SUITE, Pair, Rules, Stage};

use anyhow::Result;
use confirm::{Confirmed, confirm};
use screen::{Direction, Screen, screen};
use shift::{SuiteShift, evenly, judge_shift};

#[derive(Clone, Debug, Default)]
pub struct Found {
    pub screen: Option<Screen>,
    pub confirmed: Vec<(usize, Direction, Confirmed)>,
    pub beyond: Vec<usize>,
    /// Flagged, and without the times in fresh pairs to say more.
    pub untimed: Vec<usize>,
    pub shift: Option<SuiteShift>,
    /// Times are compared at equal clocks, by this exponent of the clock or that of their kernel.
    pub elasticity: f64,
    pub pairs: usize,
}

pub fn run(
    cases: usize,
    rules: &Rules,
    mut measure: impl FnMut(Ask) -> Result<Pair>,
) -> Result<Found> {
    let mut asked = 0;
    let mut pairs = |stage, first: usize, count: usize, cases: &[usize]| -> Result<Vec<Pair>> {
        asked += count;
        (first..first + count)
            .map(|pair| measure(Ask { stage, pair, base_first: pair % 2 == 0, cases }))
            .collect()
    };

    let all: Vec<usize> = (0..cases).collect();
    let screened = pairs(Stage::Screen, 0, rules.screen_pairs, &all)?;
    let elasticities = elasticities(&screened);
    let Some(screen) = screen(screened, &elasticities, rules) else {
        return Ok(Found { pairs: asked, ..Found::default() });
    };

    let (slower, mut beyond) = screen.flagged(Direction::Slower, rules);
    let (faster, beyond_faster) = screen.flagged(Direction::Faster, rules);
    beyond.extend(beyond_faster);
    let slower = slower.into_iter().map(|case| (case, Direction::Slower));
    let faster = faster.into_iter().map(|case| (case, Direction::Faster));
    let directions: Vec<(usize, Direction)> = slower.chain(faster).collect();
    let confirmed = match directions.is_empty() {
        true => Vec::new(),
        false => confirm(&screen, &directions, rules, |first, count, cases| {
            let measured = pairs(Stage::Confirm, first, count, cases)?;
            Ok(measured.into_iter().map(|pair| pair.at_equal_clocks(&elasticities)).collect())
        })?,
    };
    let is_open =
        |case: &usize| confirmed.iter().all(|(own, ..): &(usize, _, Confirmed)| own != case);
    let untimed = directions.iter().map(|(case, _)| *case).filter(is_open).collect();
    let shift = match screen.is_shifted {
        false => None,
        true => {
            let known: Vec<usize> =
                all.into_iter().filter(|&case| screen.cases[case].is_some()).collect();
            let preset = evenly(&known, rules.shift_cases);
            let measured = pairs(Stage::Shift, 0, rules.shift_pairs, &preset)?;
            judge_shift(&measured, elasticities.overall, rules)
        }
    };
    Ok(Found {
        screen: Some(screen),
        confirmed,
        beyond,
        untimed,
        shift,
        elasticity: elasticities.overall,
        pairs: asked,
    })
}
