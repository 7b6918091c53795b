//! What a comparison says of a case.

use serde::{Deserialize, Serialize};

/// What a comparison says of a case. Stored runs and gates have words of their own, for they promise different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// A gate: slower, by the screen and by fresh pairs.
    Regressed,
    /// It had a time in the base, and is an error in the candidate.
    NowFails,
    /// Stored runs: slower, beyond chance.
    Slower,
    /// A gate: a candidate of the screen that fresh pairs did not confirm, or one that has no time in every pair.
    Unconfirmed,
    /// Stored runs: neither a change nor its absence can be told.
    Ambiguous,
    /// Only the base has it.
    OnlyInBase,
    /// Only the candidate has it.
    OnlyInCand,
    /// It was an error in the base, and has a time in the candidate.
    NowRuns,
    /// Stored runs: faster, beyond chance.
    Faster,
    /// A gate: faster, by the screen and by fresh pairs.
    Improved,
    /// Stored runs: a change as large as the threshold is ruled out.
    Same,
    /// A gate: no sign of a slowdown.
    Ok,
}

impl Verdict {
    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Regressed => "REGRESSED",
            Verdict::NowFails => "NOW_FAILS",
            Verdict::Slower => "SLOWER",
            Verdict::Unconfirmed => "UNCONFIRMED",
            Verdict::Ambiguous => "AMBIGUOUS",
            Verdict::OnlyInBase => "ONLY_IN_BASE",
            Verdict::OnlyInCand => "ONLY_IN_CAND",
            Verdict::NowRuns => "NOW_RUNS",
            Verdict::Faster => "FASTER",
            Verdict::Improved => "IMPROVED",
            Verdict::Same => "SAME",
            Verdict::Ok => "OK",
        }
    }

    /// Whether nothing is to be said of it.
    pub fn is_quiet(self) -> bool {
        matches!(self, Verdict::Same | Verdict::Ok)
    }
}
