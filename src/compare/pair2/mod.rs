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
//! cancels. The screen flags cases with moderated variances; what confirms them are fresh pairs
//! alone, so that the luck that flagged a case does not count twice.
//!
//! [`run`] asks for one pair after the other and knows nothing of processes: the tests let it ask a
//! simulation.

pub mod confirm;
pub mod floor;
pub mod moderation;
pub mod screen;
pub mod shift;
#[cfg(test)]
mod simulation;

use anyhow::Result;
use confirm::{Confirmed, confirm};
use screen::{Direction, Screen, screen};
use shift::{SuiteShift, evenly, judge_shift};

/// With fewer cases than this the median over the cases says nothing of the suite: one slow case
/// would move it.
pub const MIN_SUITE: usize = 5;

/// The numbers of the algorithm. All but the threshold are those that its error rates were
/// simulated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The least slowdown that counts, as a logarithm.
    pub threshold: f64,
    /// Pairs of the screen.
    pub screen_pairs: usize,
    /// A flagged case has at most this p in the screen.
    pub screen_p: f64,
    /// ... and is slower by this share of the threshold.
    pub screen_share: f64,
    /// No more flagged cases than this go on, in each direction.
    pub max_flagged: usize,
    /// Pairs of the confirmation; as many again where they leave it open.
    pub confirm_pairs: usize,
    /// The chance of a false positive at each of the two looks, shared by all flagged cases.
    pub confirm_p: f64,
    /// A median over the cases beyond this, as a logarithm, is a shift of the suite.
    pub suite_shift: f64,
    /// Such a shift stays in the differences of the screen, so that it flags cases too.
    pub keeps_shift: bool,
    /// Pairs that look into it.
    pub shift_pairs: usize,
    /// Cases in them.
    pub shift_cases: usize,
    /// The p that confirms it.
    pub shift_p: f64,
    /// A shift this close to that of the SM clock, as a logarithm, is explained by it.
    pub clock_tolerance: f64,
    /// The share of the pairs that is left out at either end, for each case by itself: a process
    /// may have had no luck with one case, and with that alone.
    pub trimmed: f64,
    /// Cases that are not flagged, measured beside them to take off what a pair of processes did
    /// to all. None are needed on a GPU that nobody else uses.
    pub controls: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            threshold: 1.015f64.ln(),
            screen_pairs: 4,
            screen_p: 0.05,
            screen_share: 1.010f64.ln() / 1.015f64.ln(),
            max_flagged: 40,
            confirm_pairs: 6,
            confirm_p: 0.0025,
            suite_shift: 0.01,
            keeps_shift: true,
            shift_pairs: 12,
            shift_cases: 20,
            shift_p: 0.001,
            clock_tolerance: 0.003,
            trimmed: 0.0,
            controls: 0,
        }
    }
}

impl Rules {
    /// Those for a host that does other things as well, whose noise is ten times that of a card: a
    /// screen that lets more through, controls for what a neighbour does to all cases of a process,
    /// one pair in six left out at either end, and no suite for anything below 5 %.
    pub fn on_host() -> Self {
        Rules {
            screen_pairs: 6,
            screen_p: 0.2,
            screen_share: 0.0,
            confirm_p: 0.0015,
            suite_shift: 0.05,
            keeps_shift: false,
            trimmed: 1.0 / 6.0,
            controls: 10,
            ..Rules::default()
        }
    }

    /// How many of `pairs` are left out at either end.
    pub fn cut(&self, pairs: usize) -> usize {
        // A sixth of six is one, whatever it is in floating point.
        (pairs as f64 * self.trimmed + 1e-9) as usize
    }

    /// A flagged case is at least this much slower in the screen: 1 % where the threshold is 1.5 %.
    pub fn screen_least(&self) -> f64 {
        self.threshold * self.screen_share
    }

    /// The first look leaves it open from here on: 0.75 % where the threshold is 1.5 %.
    pub fn open_least(&self) -> f64 {
        self.threshold / 2.0
    }
}

/// What a pair of processes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// All cases.
    Screen,
    /// Flagged cases, for the first look and the second.
    Confirm,
    /// Preset cases, for the suite as a whole.
    Shift,
}

impl Stage {
    /// In file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Screen => "screen",
            Stage::Confirm => "confirm",
            Stage::Shift => "shift",
        }
    }
}

/// A pair to measure.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What for.
    pub stage: Stage,
    /// Which pair of the stage, from 0.
    pub pair: usize,
    /// Whether the base build goes first.
    pub base_first: bool,
    /// Indices of the cases.
    pub cases: &'a [usize],
}

/// A pair measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `ln(candidate / base)` of each case asked for; none where either has no time to be trusted.
    pub differences: Vec<Option<f64>>,
    /// `ln` of the SM clock under the candidate over that under the base.
    pub clock: Option<f64>,
}

/// All that a gate found out.
#[derive(Clone, Debug)]
pub struct Found {
    /// The screen; none where no case had a time in all its pairs.
    pub screen: Option<Screen>,
    /// What the fresh pairs say of each flagged case, by case.
    pub confirmed: Vec<(usize, Direction, Confirmed)>,
    /// Flagged cases beyond the limit.
    pub beyond: Vec<usize>,
    /// The suite as a whole, where it moved.
    pub shift: Option<SuiteShift>,
    /// Pairs measured.
    pub pairs: usize,
}

/// Runs the algorithm on `cases` cases, asking `measure` for one pair after the other.
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
    let differences: Vec<_> = screened.into_iter().map(|pair| pair.differences).collect();
    let Some(screen) = screen(&differences, rules) else {
        return Ok(Found {
            screen: None,
            confirmed: vec![],
            beyond: vec![],
            shift: None,
            pairs: asked,
        });
    };

    let (slower, mut beyond) = screen.flagged(Direction::Slower, rules);
    let (faster, beyond_faster) = screen.flagged(Direction::Faster, rules);
    beyond.extend(beyond_faster);
    let directions: Vec<(usize, Direction)> = slower
        .iter()
        .map(|&case| (case, Direction::Slower))
        .chain(faster.iter().map(|&case| (case, Direction::Faster)))
        .collect();
    let confirmed = match directions.is_empty() {
        true => Vec::new(),
        false => confirm(&screen, &directions, rules, |first, count, cases| {
            pairs(Stage::Confirm, first, count, cases)
        })?,
    };
    let shift = match screen.is_shifted {
        false => None,
        true => {
            let known: Vec<usize> =
                all.into_iter().filter(|&case| screen.cases[case].is_some()).collect();
            let preset = evenly(&known, rules.shift_cases);
            let measured = pairs(Stage::Shift, 0, rules.shift_pairs, &preset)?;
            judge_shift(&measured, rules)
        }
    };
    Ok(Found { screen: Some(screen), confirmed, beyond, shift, pairs: asked })
}
