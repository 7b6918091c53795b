//! raw.json: every sample of a run, a row per point. A superset of what the published suite writes,
//! so that its readers work on it unchanged.

mod figures;
mod point;
mod row;

pub use figures::{Bound, Cold, ColdTiming, CriterionEstimates, Derived, Energy, PerCall, Share};
pub use point::{Point, Shape};
pub use row::{Failed, Measured, Row, Variant};

use crate::journal::record::Status;
use crate::measure::record::Protocol;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Raw {
    pub schema_version: String,
    pub experiment: String,
    pub config: Value,
    pub metadata: Metadata,
    pub measurements: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metadata {
    pub run_id: String,
    /// Name of the spec entry, again: the published readers look here.
    pub experiment_name: String,
    /// Of the experiment's type: first part of the ids of its cases.
    pub group: String,
    pub device: String,
    /// The GPU's name, or the processor's on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    pub status: Status,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds; of the trials alone where the run was killed.
    pub wall_s: f64,
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    pub night_sweep: String,
    pub criterion: String,
}

/// `FLASH (stand-in)`: a name under which stand-ins ran, as a table or a legend has it.
pub fn marked(name: &str, is_stand_in: bool) -> String {
    if is_stand_in { format!("{name} (stand-in)") } else { name.to_owned() }
}

pub type CurveKey<'a> = (&'a str, &'a str);

impl Raw {
    pub fn curves(&self) -> Vec<(CurveKey<'_>, Vec<&Row>)> {
        let mut curves: IndexMap<CurveKey, Vec<&Row>> = IndexMap::new();
        for row in &self.measurements {
            let Point { series, curve, .. } = row.point();
            curves.entry((series, curve)).or_default().push(row);
        }
        curves.into_iter().collect()
    }

    /// The backends that were asked for, and at each dimension their rows in the same order.
    pub fn by_backend(&self) -> (IndexSet<&str>, BTreeMap<usize, Vec<Option<&Row>>>) {
        let backends: IndexSet<&str> = self.measurements.iter().map(Row::backend).collect();
        let mut by_dim: BTreeMap<usize, Vec<Option<&Row>>> = BTreeMap::new();
        for row in &self.measurements {
            let cells = by_dim.entry(row.point().dim).or_insert_with(|| vec![None; backends.len()]);
            if let Some(at) = backends.get_index_of(row.backend()) {
                cells[at].get_or_insert(row);
            }
        }
        (backends, by_dim)
    }

    /// The published names under which stand-ins ran, in the order of the spec.
    pub fn stand_ins(&self) -> IndexSet<&str> {
        self.measurements.iter().filter(|row| row.is_stand_in()).map(Row::backend).collect()
    }

    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.measurements.iter().filter_map(Row::measured)
    }

    pub fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.measurements.iter().filter_map(|row| match row {
            Row::Measured(_) => None,
            Row::Failed(row) => Some(&**row),
        })
    }
}

impl Metadata {
    /// The device as a title names it: `cuda:0 NVIDIA H200`, or `device: cpu (AMD EPYC)`.
    pub fn device_title(&self) -> String {
        match (&*self.device, &self.device_name) {
            ("cpu", Some(name)) => format!("device: cpu ({name})"),
            ("cpu", None) => "device: cpu".to_owned(),
            (device, Some(name)) => format!("{device} {name}"),
            (device, None) => device.to_owned(),
        }
    }
}
