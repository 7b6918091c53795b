//! What A/A runs have found out about a machine: the minimum detectable effect of each case on it.

use crate::compare::comparison::{Comparison, Kind};
use crate::compare::verdict::Verdict;
use crate::files::write_atomically;
use crate::journal::record::SCHEMA_VERSION;
use crate::measure::record::Calibration;
use crate::stats::median;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// A case flagged falsely in so many A/A runs fails no gate any more.
const QUARANTINE: usize = 3;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: String,
    /// The bench.
    pub bench: String,
    /// The device, by name and GPU uuid.
    pub device: String,
    /// The driver.
    pub driver: String,
    /// Gates behind it.
    pub gates: usize,
    /// Median over the cases of the minimum detectable effect, in per cent.
    pub mde_pct: f64,
    /// What event timing costs; null on the CPU.
    pub calibration: Option<Calibration>,
    /// Each case.
    pub cases: BTreeMap<String, CaseFloor>,
}

/// A case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseFloor {
    /// Its minimum detectable effect in per cent; the mean over the gates.
    pub mde_pct: f64,
    /// Gates in which it was flagged, and not by fresh pairs.
    pub unconfirmed: usize,
}

/// Where a gate runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bench.
    pub bench: String,
    /// The device, by name and GPU uuid.
    pub device: String,
    /// The driver.
    pub driver: String,
}

impl NoiseFloor {
    /// Reads the file; none if there is none.
    pub fn read(path: &Path) -> Result<Option<NoiseFloor>> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{} is no noise floor: remove it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot create {}", dir.display()))?;
        }
        // A link stays: the file that it leads to was read as a noise floor.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        write_atomically(&path, &serde_json::to_vec_pretty(self)?)
    }

    /// Whether it is about this place.
    pub fn is_of(&self, place: &Place) -> bool {
        (&self.bench, &self.device, &self.driver) == (&place.bench, &place.device, &place.driver)
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
            let case = cases
                .entry(row.case_id.clone())
                .or_insert(CaseFloor { mde_pct: seen, unconfirmed: 0 });
            case.mde_pct += (seen - case.mde_pct) / (gates + 1) as f64;
            case.unconfirmed +=
                usize::from(matches!(row.verdict, Verdict::Ambiguous | Verdict::Regressed));
        }
        let seen: Vec<f64> = cases.values().map(|case| case.mde_pct).collect();
        NoiseFloor {
            schema_version: SCHEMA_VERSION.to_owned(),
            bench: place.bench.clone(),
            device: place.device.clone(),
            driver: place.driver.clone(),
            gates: gates + 1,
            mde_pct: median(&seen).unwrap_or_default(),
            calibration,
            cases,
        }
    }

    /// Refuses a threshold that the machine cannot keep.
    pub fn allows(&self, threshold: f64) -> Result<()> {
        ensure!(
            threshold * 100.0 >= self.mde_pct,
            "--threshold {:.1} %: below the noise floor of this machine, whose median minimum \
             detectable effect is \
             {:.1} %; raise it, or measure more trials, or on a quieter machine",
            threshold * 100.0,
            self.mde_pct
        );
        Ok(())
    }

    /// Whether a case is too restless to fail a gate.
    pub fn is_quarantined(&self, case_id: &str) -> bool {
        self.cases.get(case_id).is_some_and(|case| case.unconfirmed >= QUARANTINE)
    }
}
