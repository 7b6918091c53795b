//! What a comparison says of a case.

use serde::{Deserialize, Serialize};

/// What a comparison says of a case; docs/regression.md has what stored runs and gates mean by
/// each. Whether a row fails the comparison is in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It had a time in the base, and is an error in the candidate.
    NowFails,
    /// Slower, beyond chance.
    Regressed,
    /// Neither a change nor its absence can be told.
    Ambiguous,
    /// Only the base has it.
    OnlyInBase,
    /// Only the candidate has it.
    OnlyInCand,
    /// It was an error in the base, and has a time in the candidate.
    NowRuns,
    /// Faster, beyond chance.
    Improved,
    /// No change that counts.
    Same,
}

impl Verdict {
    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::NowFails => "NOW_FAILS",
            Verdict::Regressed => "REGRESSED",
            Verdict::Ambiguous => "AMBIGUOUS",
            Verdict::OnlyInBase => "ONLY_IN_BASE",
            Verdict::OnlyInCand => "ONLY_IN_CAND",
            Verdict::NowRuns => "NOW_RUNS",
            Verdict::Improved => "IMPROVED",
            Verdict::Same => "SAME",
        }
    }
}
