//! The times of one curve, from one run or several of the same device.

use crate::experiments;
use crate::results::curve;
use crate::results::curve::cliff::{self, Cliffs};
use crate::results::raw::{Measured, Raw, Row};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

pub use crate::results::view::Axis as Operation;

#[derive(Debug)]
pub struct Times {
    pub(super) run_ids: Vec<String>,
    pub(super) device: String,
    pub(super) operation: Operation,
    pub(super) curve: String,
    by_dim: BTreeMap<usize, Time>,
    pub(super) errors: BTreeMap<usize, String>,
    pub(super) cliffs: Cliffs,
}

#[derive(Debug)]
pub struct Time {
    pub p50_ms: f64,
    /// Holds the median of another run 19 times in 20, in ms; none where that is not known.
    pub ci95_ms: Option<[f64; 2]>,
    pub kernels: Vec<String>,
}

impl Times {
    /// The times of an operation on a curve. Where several runs have a dimension, the first one
    /// counts.
    ///
    /// # Errors
    /// If no run has such a curve with a time on it, or those that do are not of one device and one
    /// problem.
    pub fn of(runs: &[Raw], operation: Option<Operation>, curve: Option<&str>) -> Result<Times> {
        let rows =
            || runs.iter().flat_map(|run| run.measurements.iter().map(move |row| (run, row)));
        let operation = operation
            .or_else(|| rows().find_map(operation_of))
            .context("these runs sweep no dimension that there could be advice for")?;
        let of_operation: Vec<(&Raw, &Row)> =
            rows().filter(|&row| operation_of(row) == Some(operation)).collect();
        let curve = choose_curve(&of_operation, operation, curve)?;
        let on_curve: Vec<(&Raw, &Row)> =
            of_operation.into_iter().filter(|(_, row)| row.point().curve == curve).collect();
        let (first, row) = *on_curve.first().context("a row of the curve")?;
        for (run, other) in &on_curve {
            same_problem((first, row), (run, other), operation)?;
        }

        let mut measured: BTreeMap<usize, &Measured> = BTreeMap::new();
        let mut errors = BTreeMap::new();
        let mut run_ids: Vec<String> = Vec::new();
        for (run, row) in on_curve {
            match row {
                Row::Measured(row) => drop(measured.entry(row.point.dim).or_insert(row)),
                Row::Failed(row) => {
                    errors.entry(row.point.dim).or_insert_with(|| row.error.clone());
                }
            }
            if !run_ids.contains(&run.metadata.run_id) {
                run_ids.push(run.metadata.run_id.clone());
            }
        }
        ensure!(!measured.is_empty(), "no point of {curve} has a time");
        let rows: Vec<&Measured> = measured.into_values().collect();
        Ok(Times {
            run_ids,
            device: first.metadata.device_title(),
            operation,
            curve: curve.to_owned(),
            by_dim: rows.iter().map(|row| (row.point.dim, time(row))).collect(),
            errors,
            cliffs: cliff::find(&curve::Curve::of(&rows)),
        })
    }

    pub fn range(&self) -> [usize; 2] {
        let mut dims = self.by_dim.keys().copied();
        let smallest = dims.next().unwrap_or_default();
        [smallest, dims.next_back().unwrap_or(smallest)]
    }

    pub fn at(&self, dim: usize) -> Option<&Time> {
        self.by_dim.get(&dim)
    }

    pub fn between(&self, low: usize, high: usize) -> impl Iterator<Item = (usize, &Time)> {
        self.by_dim
            .range(low..)
            .take_while(move |(dim, _)| **dim <= high)
            .map(|(&dim, time)| (dim, time))
    }
}

fn time(row: &Measured) -> Time {
    Time {
        p50_ms: row.timing.p50,
        ci95_ms: row.ci95_p50,
        kernels: row.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
    }
}

/// What a row's dimension is a dimension of; none if there is no advice for it.
pub(crate) fn operation_of((run, row): (&Raw, &Row)) -> Option<Operation> {
    let point = row.point();
    let mut axes = experiments::view(&run.config).axes.iter().copied();
    axes.find(|axis| axis.of(point.shape) == Some(point.dim))
}

fn choose_curve<'a>(
    rows: &[(&'a Raw, &'a Row)],
    operation: Operation,
    wanted: Option<&str>,
) -> Result<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (_, row) in rows {
        let name = &*row.point().curve;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let first = *names
        .first()
        .with_context(|| format!("these runs have no points of {}", operation.name()))?;
    match wanted {
        None => Ok(first),
        Some(wanted) => match names.iter().find(|name| **name == wanted) {
            Some(name) => Ok(name),
            None => bail!("there is no curve {wanted:?}; there are: {}", names.join(" | ")),
        },
    }
}

/// Times of different devices, or of different shapes, are not to be mixed.
fn same_problem(a: (&Raw, &Row), b: (&Raw, &Row), operation: Operation) -> Result<()> {
    let device = |(run, _): (&Raw, &Row)| {
        run.metadata.device_name.clone().unwrap_or_else(|| run.metadata.device.clone())
    };
    ensure!(
        device(a) == device(b),
        "{} ran on {}, {} on {}: take runs of one device",
        a.0.metadata.run_id,
        device(a),
        b.0.metadata.run_id,
        device(b)
    );
    let problem = |(_, row): (&Raw, &Row)| {
        let point = row.point();
        (operation.rest(point.shape), point.dtype)
    };
    ensure!(
        problem(a) == problem(b),
        "{} and {} differ in more than {}: take runs of one shape, or one of them",
        a.1.point().case_id,
        b.1.point().case_id,
        operation.dim_name()
    );
    Ok(())
}
