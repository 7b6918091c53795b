//! What one process measures of a sweep.

use super::settings::Settings;
use crate::device::Device;
use crate::spec::Experiment;
use crate::workload::case::Case;
use anyhow::{Result, ensure};
use std::collections::HashSet;

pub struct Part {
    pub cases: Vec<Case>,
    /// The ids of all cases of the sweep, if this is a shard of it.
    pub sweep: Vec<String>,
}

impl Part {
    pub fn of(
        experiment: &Experiment,
        settings: &Settings,
        device: &Device,
        is_selected: impl Fn(&Case) -> bool,
    ) -> Result<Part> {
        let all = experiment.cases();
        check(&all, device)?;
        let selected: Vec<Case> = all.into_iter().filter(|case| is_selected(case)).collect();
        ensure!(
            !selected.is_empty(),
            "no case of {} has an id that the filter matches; `--list` prints the ids",
            experiment.name
        );
        let Some(shard) = settings.shard else {
            return Ok(Part { cases: selected, sweep: Vec::new() });
        };
        let cases = shard.of(&selected, settings.seed);
        ensure!(
            !cases.is_empty(),
            "NIGHT_SWEEP_SHARD={shard}: the sweep has too few rows for so many shards, and none is \
             left for this one"
        );
        Ok(Part { cases, sweep: selected.into_iter().map(|case| case.id).collect() })
    }
}

/// What no run survives: ids that Criterion would mix up, and operands that the device cannot hold.
fn check(cases: &[Case], device: &Device) -> Result<()> {
    let mut seen = HashSet::new();
    let there = device.memory_bytes() as f64;
    for case in cases {
        ensure!(seen.insert(case.id.as_str()), "two cases have the id {}", case.id);
        // Criterion cuts longer names, and two that are equal up to there would share a folder.
        let fits = case.id.split('/').all(|part| !part.is_empty() && part.len() <= 64);
        ensure!(
            fits && case.id.split('/').count() == 3,
            "the id {} is not group/series/point of 64 bytes",
            case.id
        );
        let needed = case.operation.bytes(case.dtype);
        ensure!(
            needed <= there,
            "{}: its operands take {:.1} GB, and {} has {:.1} GB: make the sizes in the spec \
             smaller",
            case.id,
            needed / 1e9,
            device.name(),
            there / 1e9
        );
    }
    Ok(())
}
