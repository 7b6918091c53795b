//! What a fan-out is asked.

use super::place::Place;
use crate::process::child::Bench;
use crate::process::executable::Executable;
use crate::spec::Source;
use std::path::PathBuf;

pub(crate) struct Request {
    pub(crate) bench: String,
    pub(crate) executable: Executable,
    pub(crate) spec: Source,
    pub(crate) experiment: Option<String>,
    pub(crate) places: Vec<Place>,
    pub(crate) run_id: Option<String>,
    pub(crate) results_root: PathBuf,
    pub(crate) filter: Option<String>,
    pub(crate) criterion: Vec<String>,
    pub(crate) interference: bool,
    pub(crate) report: bool,
}

impl Request {
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &String> {
        self.filter.iter().chain(&self.criterion)
    }

    pub(crate) fn bench(&self, place: &Place) -> Bench {
        Bench::new(self.executable.clone())
            .set("NIGHT_SWEEP_RESULTS_ROOT", &self.results_root)
            .set_all(place.variables())
    }
}
