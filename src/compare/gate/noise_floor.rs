//! What A/A runs have found out about a machine: the minimum detectable effect of each case on it.

use crate::compare::comparison::{Comparison, Kind, Verdict};
use crate::files::{cannot, read_json, write_atomically};
use crate::journal::record::SCHEMA_VERSION;
use crate::measure::record::Calibration;
use crate::stats::median;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// From here on a case is in quarantine: it was flagged falsely in each of the last four A/A runs,
/// or in most of more.
const QUARANTINE: f64 = 2.9;
/// What a false flag still counts for an A/A run later.
const DECAY: f64 = 0.8;

#[derive(Serialize, Deserialize)]
pub struct NoiseFloor {
    pub schema_version: String,
    #[serde(flatten)]
    place: Place,
    pub gates: usize,
    /// Median over the cases of the minimum detectable effect, in per cent.
    pub mde_pct: f64,
    /// What event timing costs; null on the CPU.
    pub calibration: Option<Calibration>,
    pub cases: BTreeMap<String, CaseFloor>,
}

#[derive(Serialize, Deserialize)]
pub struct CaseFloor {
    /// Minimum detectable effect; the mean over the gates.
    pub mde_pct: f64,
    /// A/A runs in which it was flagged, the older ones counted less.
    pub unconfirmed: f64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub bench: String,
    /// By name and GPU uuid.
    pub device: String,
    pub driver: String,
}

impl NoiseFloor {
    pub fn read(path: &Path) -> Result<Option<NoiseFloor>> {
        read_json(path, "no noise floor")
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).with_context(cannot("create", dir))?;
        }
        // A link stays: the file that it leads to was read as a noise floor.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        write_atomically(&path, &serde_json::to_vec_pretty(self)?)
    }

    pub fn is_of(&self, place: &Place) -> bool {
        self.place == *place
    }

    /// With what one more A/A run says; `before` counts if it is about the same place.
    pub fn with(
        before: Option<NoiseFloor>,
        place: &Place,
        found: &Comparison,
        calibration: Option<Calibration>,
    ) -> NoiseFloor {
        debug_assert_eq!(found.kind, Kind::NoiseFloor);
        let before = before.filter(|before| before.is_of(place));
        let gates = before.as_ref().map_or(0, |before| before.gates);
        let mut cases = before.map(|before| before.cases).unwrap_or_default();
        for row in &found.rows {
            let Some(seen) = row.mde_pct else { continue };
            let new = CaseFloor { mde_pct: seen, unconfirmed: 0.0 };
            let case = cases.entry(row.case_id.clone()).or_insert(new);
            case.mde_pct += (seen - case.mde_pct) / (gates + 1) as f64;
            let is_flagged = matches!(row.verdict, Verdict::Ambiguous | Verdict::Regressed);
            case.unconfirmed = DECAY * case.unconfirmed + f64::from(u8::from(is_flagged));
        }
        let seen: Vec<f64> = cases.values().map(|case| case.mde_pct).collect();
        NoiseFloor {
            schema_version: SCHEMA_VERSION.to_owned(),
            place: place.clone(),
            gates: gates + 1,
            mde_pct: median(&seen).unwrap_or_default(),
            calibration,
            cases,
        }
    }

    pub fn allows(&self, threshold: f64) -> Result<()> {
        // The default is the floor itself, but for rounding.
        ensure!(
            threshold * 100.0 >= self.mde_pct * (1.0 - 1e-9),
            "--threshold {:.1} %: below the noise floor of this machine, whose median minimum \
             detectable effect is {:.1} %; raise it, or measure more trials, or on a quieter \
             machine",
            threshold * 100.0,
            self.mde_pct
        );
        Ok(())
    }

    /// The least slowdown, in per cent, that fails a case in quarantine: what it can show.
    pub fn quarantine_pct(&self, case_id: &str) -> Option<f64> {
        let case = self.cases.get(case_id)?;
        (case.unconfirmed >= QUARANTINE).then_some(case.mde_pct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::comparison::{Outcome, Row, Side, Suite};

    fn floor(before: Option<NoiseFloor>, verdict: Verdict) -> NoiseFloor {
        let side = || Side { name: String::new(), runs: Vec::new(), device: None };
        let row = |id, verdict| Row { mde_pct: Some(4.0), ..Row::new(id, verdict) };
        let found = Comparison {
            schema_version: SCHEMA_VERSION.to_owned(),
            kind: Kind::NoiseFloor,
            outcome: Outcome::Passed,
            base: side(),
            cand: side(),
            threshold_pct: 1.0,
            suite: Suite::default(),
            gate: None,
            counts: BTreeMap::new(),
            mismatches: Vec::new(),
            notes: Vec::new(),
            rows: vec![row("a", verdict), row("b", Verdict::Same)],
        };
        let [bench, device, driver] = ["g3", "a CPU", "none"].map(str::to_owned);
        NoiseFloor::with(before, &Place { bench, device, driver }, &found, None)
    }

    #[test]
    fn a_quarantine_comes_of_false_flags_and_goes_with_time() {
        let mut now = floor(None, Verdict::Ambiguous);
        for _ in 0..3 {
            assert_eq!(now.quarantine_pct("a"), None);
            now = floor(Some(now), Verdict::Regressed);
        }
        assert_eq!((now.quarantine_pct("a"), now.quarantine_pct("b")), (Some(4.0), None));
        now = floor(Some(now), Verdict::Same);
        assert_eq!(now.quarantine_pct("a"), None, "it decays");
        // One flag in five, as noise gives on a host, is none however long it goes on.
        for gate in 0..60 {
            let verdict = if gate % 5 == 0 { Verdict::Ambiguous } else { Verdict::Same };
            now = floor(Some(now), verdict);
            assert_eq!(now.quarantine_pct("a"), None, "{gate}");
        }
    }

    #[test]
    fn a_floor_allows_itself_as_a_threshold() {
        for hundredths in 100..600 {
            let mde_pct = f64::from(hundredths) / 100.0;
            let floor = NoiseFloor { mde_pct, ..floor(None, Verdict::Same) };
            // As a threshold goes from the options to the rules and back.
            floor.allows((mde_pct / 100.0).ln_1p().exp_m1()).unwrap();
        }
        let floor = NoiseFloor { mde_pct: 2.4, ..floor(None, Verdict::Same) };
        assert!(floor.allows(0.0239).is_err());
    }
}
