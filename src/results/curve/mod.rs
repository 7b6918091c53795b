//! A curve: how the time of an operation depends on one dimension, all else fixed. Its cliffs,
//! steps and tiers.
//!
//! All comparisons are differences of logarithms of medians, so that a result is a ratio. How far
//! such a difference may be off by chance comes from how the trials of a point differ, pooled over
//! the curve, and from what processes differ by; the bounds hold for all points of a curve at once
//! (Bonferroni). Points may have different numbers of trials. The division of labour: [`cliff`]
//! asks whether a larger dimension is faster, [`step`] whether the time of the aligned dimensions
//! jumps by more than the work, [`tier`] what alignment as such costs.

pub(crate) mod cliff;
pub mod kernel;
pub(crate) mod step;
pub(crate) mod tier;

#[cfg(test)]
mod tests;

use super::raw::Measured;
use crate::stats::median;
use crate::stats::repeat::BETWEEN_TRIALS;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A difference below this, as a ratio, is neither a cliff nor a step.
pub const NOTABLE_RATIO: f64 = 1.05;

/// What processes do to one point beyond what they do to all, as a standard deviation of its
/// logarithm: runs of G3 on H100s, at equal clocks.
const OF_A_POINT: f64 = 0.001;

/// Chance that a curve without any cliff has one named, and the same for steps.
const ALPHA: f64 = 0.01;

#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub dim: usize,
    pub medians_ms: Vec<f64>,
    /// Useful operations of one launch.
    pub work: f64,
    /// The kernels of one launch, in launch order; empty where they are not known.
    pub kernels: Vec<String>,
}

/// Points in ascending order of their dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
    /// Logarithms of the medians: a row per point, all of one length. Where a point has more trials
    /// than another, its trials are dealt out to as many piles, and these are the means of the
    /// piles.
    logs: Vec<Vec<f64>>,
    /// Their mean at each point, and its variance where a median has one of 1.
    means: Vec<f64>,
    weights: Vec<f64>,
    /// The medians whose differences are estimates while the others choose what to compare.
    held_out: Vec<usize>,
    noise: Option<Noise>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Noise {
    /// Of a median, in logarithms.
    variance: f64,
    degrees_of_freedom: f64,
    /// Of an estimate at one point, however many medians it has.
    floor: f64,
}

impl Curve {
    /// A curve of trials. With a single trial at a point nothing on it can be told from chance: see
    /// [`Curve::of_halves`].
    pub fn of_trials(points: Vec<Point>) -> Curve {
        let trials = points.iter().map(|point| point.medians_ms.len()).min().unwrap_or_default();
        Curve::with(points, trials, (0..trials).collect(), OF_A_POINT)
    }

    /// A curve of a single trial, its medians those of the odd samples and of the even ones: the
    /// odd ones choose what to compare, the even ones estimate. What a further trial would add is
    /// taken to be 0.5 %.
    pub fn of_halves(mut points: Vec<Point>) -> Curve {
        let halves = points.iter().map(|point| point.medians_ms.len().min(2)).min();
        let halves = halves.unwrap_or_default();
        points.iter_mut().for_each(|point| point.medians_ms.truncate(halves));
        Curve::with(points, halves, vec![1], BETWEEN_TRIALS)
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

    /// `piles` are what every point has of medians; an estimate has this deviation beside that of
    /// its medians.
    fn with(mut points: Vec<Point>, piles: usize, held_out: Vec<usize>, deviation: f64) -> Curve {
        points.sort_by_key(|point| point.dim);
        let all: Vec<Vec<f64>> = points
            .iter()
            .map(|point| point.medians_ms.iter().map(|ms| ms.ln()).collect())
            .collect();
        let pile = |logs: &[f64], from: usize| -> Vec<f64> {
            logs.iter().skip(from).step_by(piles).copied().collect()
        };
        let piles_of = |logs: &Vec<f64>| (0..piles).map(|from| pile(logs, from)).collect();
        let piled: Vec<Vec<Vec<f64>>> = all.iter().map(piles_of).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let logs: Vec<Vec<f64>> =
            piled.iter().map(|piles| piles.iter().map(|pile| mean(pile)).collect()).collect();
        // What holds out one median estimates with that alone.
        let weight = |piles: &Vec<Vec<f64>>| match held_out.len() {
            1 => 1.0,
            count => {
                let each = piles.iter().map(|pile| 1.0 / pile.len() as f64);
                each.sum::<f64>() / (count as f64).powi(2)
            }
        };
        Curve {
            means: logs.iter().map(|logs| mean(logs)).collect(),
            weights: piled.iter().map(weight).collect(),
            noise: pooled_variance(&all, piles).map(|(variance, degrees_of_freedom)| Noise {
                variance,
                degrees_of_freedom,
                floor: deviation.powi(2),
            }),
            logs,
            points,
            held_out,
        }
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How far the difference of these two points may exceed the true one, in logarithms, so that
    /// none of `comparisons` such differences does at 99 %; none where there is nothing to tell it
    /// from.
    fn margin(&self, [one, other]: [usize; 2], comparisons: usize) -> Option<f64> {
        let Noise { variance, degrees_of_freedom, floor } = self.noise?;
        let student = StudentsT::new(0.0, 1.0, degrees_of_freedom).ok()?;
        let quantile = student.inverse_cdf(1.0 - ALPHA / comparisons.max(1) as f64);
        let of = |at: usize| variance * self.weights[at] + floor;
        Some(quantile * (of(one) + of(other)).sqrt())
    }

    fn index_of(&self, dim: usize) -> Option<usize> {
        self.points.binary_search_by_key(&dim, |point| point.dim).ok()
    }

    fn ratio(&self, of: usize, to: usize) -> f64 {
        (self.means[of] - self.means[to]).exp()
    }
}

/// Variance of a median around the mean of its point, and its degrees of freedom; none where a
/// point has fewer than two medians.
fn pooled_variance(logs: &[Vec<f64>], least: usize) -> Option<(f64, f64)> {
    if least < 2 || logs.is_empty() {
        return None;
    }
    let squares = |logs: &Vec<f64>| {
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>()
    };
    let degrees_of_freedom = logs.iter().map(|logs| logs.len() - 1).sum::<usize>() as f64;
    Some((logs.iter().map(squares).sum::<f64>() / degrees_of_freedom, degrees_of_freedom))
}

/// Medians of the first, third, fifth... sample and of those between; none where there are fewer
/// than two.
fn halves(samples: &[f64]) -> Vec<f64> {
    let every_other = |first| samples.iter().skip(first).step_by(2).copied().collect::<Vec<_>>();
    [0, 1].into_iter().filter_map(|first| median(&every_other(first))).collect()
}
