//! A curve: how the time of an operation depends on one dimension, all else fixed. Its cliffs,
//! steps and tiers.
//!
//! All comparisons are differences of logarithms of medians, so that a result is a ratio. How far
//! such a difference may be off by chance comes from how the trials of a point differ, pooled over
//! the curve; the bounds hold for all points of a curve at once (Bonferroni). The division of
//! labour: [`cliff`] asks whether a larger dimension is faster, [`step`] whether the time of the
//! aligned dimensions jumps by more than the work, [`tier`] what alignment as such costs.

pub(crate) mod cliff;
pub mod kernel;
pub(crate) mod step;
pub(crate) mod tier;

#[cfg(test)]
mod tests;

use super::raw::Measured;
use crate::stats::median;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A difference below this, as a ratio, is neither a cliff nor a step.
pub const NOTABLE_RATIO: f64 = 1.05;

/// Chance that a curve without any cliff has one named, and the same for steps.
const ALPHA: f64 = 0.01;

/// Standard deviation between processes, in logarithms, that a single trial cannot show.
const BETWEEN_TRIALS: f64 = 0.005;

#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub dim: usize,
    pub medians_ms: Vec<f64>,
    /// Useful operations of one launch.
    pub work: f64,
    /// The kernels of one launch, in launch order; empty where they are not known.
    pub kernels: Vec<String>,
}

/// Points in ascending order of their dimensions, with as many medians each.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
    /// Logarithms of the medians: a row per point.
    logs: Vec<Vec<f64>>,
    means: Vec<f64>,
    /// The medians whose differences are estimates while the others choose what to compare.
    held_out: Vec<usize>,
    noise: Option<Noise>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Noise {
    /// Of an estimate at one point, in logarithms.
    variance: f64,
    degrees_of_freedom: f64,
}

impl Curve {
    /// A curve of the trials that all points have. With a single trial nothing on it can be told
    /// from chance: see [`Curve::of_halves`].
    pub fn of_trials(points: Vec<Point>) -> Curve {
        let trials = points.iter().map(|point| point.medians_ms.len()).min().unwrap_or_default();
        Curve::with(points, trials, (0..trials).collect(), |variance| variance / trials as f64)
    }

    /// A curve of a single trial, its medians those of the odd samples and of the even ones: the
    /// odd ones choose what to compare, the even ones estimate. What a further trial would add is
    /// taken to be 0.5 %.
    pub fn of_halves(points: Vec<Point>) -> Curve {
        let halves = points.iter().map(|point| point.medians_ms.len().min(2)).min();
        let noise = |variance| variance + BETWEEN_TRIALS.powi(2);
        Curve::with(points, halves.unwrap_or_default(), vec![1], noise)
    }

    /// The curve of these rows: of their trials, or of the halves of their samples where one has a
    /// single trial.
    pub fn of(rows: &[&Measured]) -> Curve {
        let trials = rows.iter().map(|row| row.trial_p50.len()).min().unwrap_or_default();
        let medians = |row: &Measured| match trials {
            0 | 1 => halves(&row.timing_raw),
            _ => row.trial_p50.clone(),
        };
        let points = rows.iter().map(|row| Point {
            dim: row.point.dim,
            medians_ms: medians(row),
            work: row.flops(),
            kernels: row.kernels.iter().map(|kernel| kernel.name.clone()).collect(),
        });
        let points = points.collect();
        if trials < 2 { Curve::of_halves(points) } else { Curve::of_trials(points) }
    }

    /// `noise`: the variance of an estimate by that of a median.
    fn with(
        mut points: Vec<Point>,
        medians: usize,
        held_out: Vec<usize>,
        noise: impl Fn(f64) -> f64,
    ) -> Curve {
        points.sort_by_key(|point| point.dim);
        points.iter_mut().for_each(|point| point.medians_ms.truncate(medians));
        let logs: Vec<Vec<f64>> = points
            .iter()
            .map(|point| point.medians_ms.iter().map(|ms| ms.ln()).collect())
            .collect();
        let means = logs.iter().map(|logs| logs.iter().sum::<f64>() / medians as f64).collect();
        let mut curve = Curve { points, logs, means, held_out, noise: None };
        curve.noise = curve.pooled_variance().map(|(variance, degrees_of_freedom)| Noise {
            variance: noise(variance),
            degrees_of_freedom,
        });
        curve
    }

    /// Variance of a median around the mean of its point, and its degrees of freedom; none with
    /// fewer than two medians a point.
    fn pooled_variance(&self) -> Option<(f64, f64)> {
        let medians = self.logs.first()?.len();
        if medians < 2 {
            return None;
        }
        let squares = self.logs.iter().zip(&self.means);
        let squares: f64 =
            squares.flat_map(|(logs, mean)| logs.iter().map(move |y| (y - mean).powi(2))).sum();
        let degrees_of_freedom = (self.points.len() * (medians - 1)) as f64;
        Some((squares / degrees_of_freedom, degrees_of_freedom))
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How far a difference of two points may exceed the true one, in logarithms, so that none of
    /// `comparisons` of them does at 99 %; none where there is nothing to tell it from.
    fn margin(&self, comparisons: usize) -> Option<f64> {
        let Noise { variance, degrees_of_freedom } = self.noise?;
        let student = StudentsT::new(0.0, 1.0, degrees_of_freedom).ok()?;
        let quantile = student.inverse_cdf(1.0 - ALPHA / comparisons.max(1) as f64);
        Some(quantile * (2.0 * variance).sqrt())
    }

    fn index_of(&self, dim: usize) -> Option<usize> {
        self.points.binary_search_by_key(&dim, |point| point.dim).ok()
    }

    fn ratio(&self, of: usize, to: usize) -> f64 {
        (self.means[of] - self.means[to]).exp()
    }
}

/// Medians of the first, third, fifth... sample and of those between; none where there are fewer
/// than two.
fn halves(samples: &[f64]) -> Vec<f64> {
    let every_other = |first| samples.iter().skip(first).step_by(2).copied().collect::<Vec<_>>();
    [0, 1].into_iter().filter_map(|first| median(&every_other(first))).collect()
}
