//! What a fan-out is asked.

use super::place::Place;
use crate::process::child::Bench;
use crate::process::executable::Executable;
use crate::spec::Source;
use std::path::PathBuf;

/// What to measure, and where.
pub(crate) struct Request {
    pub(crate) bench: String,
    pub(crate) executable: Executable,
    pub(crate) spec: Source,
    /// The entry of the spec, if not the bench's own.
    pub(crate) experiment: Option<String>,
    /// A shard for each.
    pub(crate) places: Vec<Place>,
    pub(crate) run_id: Option<String>,
    pub(crate) results_root: PathBuf,
    pub(crate) filter: Option<String>,
    /// Criterion's arguments.
    pub(crate) criterion: Vec<String>,
    pub(crate) interference: bool,
    /// Whether the run ends with its report.
    pub(crate) report: bool,
}

impl Request {
    /// The arguments of every shard.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &String> {
        self.filter.iter().chain(&self.criterion)
    }

    /// The bench at a place.
    pub(crate) fn bench(&self, place: &Place) -> Bench {
        Bench::new(self.executable.clone())
            .set("NIGHT_SWEEP_RESULTS_ROOT", &self.results_root)
            .set_all(place.variables())
    }
}
