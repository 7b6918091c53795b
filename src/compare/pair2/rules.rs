//! The numbers of the algorithm, and what it asks for.

use crate::compare::clock::{Difference, Elasticities, Kind};
use crate::stats::moderation::Prior;
use crate::stats::{mean, median};

/// With fewer cases than this the median over the cases says nothing of the suite: one slow case
/// would move it.
pub const MIN_SUITE: usize = 5;

/// The numbers of the algorithm. All but the threshold are those that its error rates were
/// simulated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The least slowdown that counts, as a logarithm.
    pub threshold: f64,
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
    pub shift_pairs: usize,
    pub shift_cases: usize,
    pub shift_p: f64,
    /// A shift this close to that of the SM clock, as a logarithm, is explained by it.
    pub clock_tolerance: f64,
    /// The share of the pairs that is left out at either end, for each case by itself: a process
    /// may have had no luck with one case, and with that alone.
    pub trimmed: f64,
    /// Cases that are not flagged, measured beside them to take off what a pair of processes did
    /// to all.
    pub controls: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            threshold: 1.01f64.ln(),
            screen_pairs: 4,
            screen_p: 0.05,
            screen_share: 2.0 / 3.0,
            max_flagged: 40,
            confirm_pairs: 6,
            confirm_p: 0.0015,
            suite_shift: 0.01,
            keeps_shift: true,
            shift_pairs: 12,
            shift_cases: 20,
            shift_p: 0.001,
            clock_tolerance: 0.003,
            trimmed: 0.0,
            controls: 20,
        }
    }
}

impl Rules {
    /// Those for a host that does other things as well, whose noise is ten times that of a card.
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

    pub fn cut(&self, pairs: usize) -> usize {
        // A sixth of six is one, whatever it is in floating point.
        (pairs as f64 * self.trimmed + 1e-9) as usize
    }

    /// A flagged case is at least this much slower in the screen: 0.67 % where that is 1 %.
    pub fn screen_least(&self) -> f64 {
        self.threshold * self.screen_share
    }

    /// The first look leaves it open from here on: 0.5 % where the threshold is 1 %.
    pub fn open_least(&self) -> f64 {
        self.threshold / 2.0
    }
}

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
    pub fn name(self) -> &'static str {
        match self {
            Stage::Screen => "screen",
            Stage::Confirm => "confirm",
            Stage::Shift => "shift",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub stage: Stage,
    /// Which pair of the stage, from 0.
    pub pair: usize,
    pub base_first: bool,
    pub cases: &'a [usize],
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `ln(candidate / base)` of each case asked for; none where either has no time to be trusted.
    pub differences: Vec<Option<f64>>,
    /// `ln` of the SM clock under the candidate over that under the base; none on a host.
    pub clocks: Vec<Option<f64>>,
    /// What each case runs.
    pub kinds: Vec<Kind>,
}

impl Pair {
    /// What the times would be at equal clocks.
    pub fn at_equal_clocks(self, elasticities: &Elasticities) -> Pair {
        let corrected = |((difference, clock), kind): ((&Option<f64>, &Option<f64>), &Kind)| {
            Some((*difference)? + elasticities.of_kind(kind) * clock.unwrap_or_default())
        };
        let differences = self.differences.iter().zip(&self.clocks).zip(&self.kinds);
        Pair { differences: differences.map(corrected).collect(), ..self }
    }

    /// Of all cases together.
    pub fn clock(&self) -> Option<f64> {
        mean(&self.clocks.iter().flatten().copied().collect::<Vec<_>>())
    }

    /// Of one of its cases, if its clock is known.
    fn difference(&self, case: usize) -> Option<Difference> {
        Some([self.differences[case]?, self.clocks[case]?])
    }
}

/// The mean clock of a case over the pairs, candidate over base; 0 on a host.
pub fn mean_clock(pairs: &[Pair], case: usize) -> f64 {
    let clocks: Vec<f64> = pairs.iter().filter_map(|pair| pair.clocks[case]).collect();
    mean(&clocks).unwrap_or_default()
}

/// What the variances of all cases say about that of each; nothing where they are too few.
pub fn prior(variances: &[f64], freedom: f64) -> Option<Prior> {
    match variances.len() {
        1..MIN_SUITE => Some(Prior { freedom: 0.0, variance: median(variances)? }),
        _ => Prior::of(variances, freedom),
    }
}

/// By how each case moves from pair to pair, beyond what all cases of a pair do.
pub fn elasticities(pairs: &[Pair]) -> Elasticities {
    let cases = pairs.first().map_or(0, |pair| pair.differences.len());
    let known = |case: usize| pairs.iter().map(move |pair| pair.difference(case));
    // What a case does in all pairs is its own.
    let centered: Vec<Option<Vec<Difference>>> = (0..cases)
        .map(|case| Some(center(known(case).collect::<Option<Vec<_>>>()?, mean)))
        .collect();
    let of_pair = |pair: usize| {
        let known = centered.iter().zip(&pairs[pair].kinds);
        let (kinds, own): (Vec<&Kind>, Vec<Difference>) =
            known.filter_map(|(own, kind)| Some((kind, own.as_ref()?[pair]))).unzip();
        kinds.into_iter().zip(center(own, median))
    };
    Elasticities::of((0..pairs.len()).flat_map(of_pair))
}

/// Their differences from the center of each part.
fn center(values: Vec<Difference>, of: fn(&[f64]) -> Option<f64>) -> Vec<Difference> {
    let center = [0, 1].map(|which| {
        of(&values.iter().map(|own| own[which]).collect::<Vec<_>>()).unwrap_or_default()
    });
    values.into_iter().map(|[t, c]| [t - center[0], c - center[1]]).collect()
}
