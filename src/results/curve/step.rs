//! Steps: where the time of well aligned dimensions jumps by more than the work, as at the boundary
//! of a tile or of a kernel.
//!
//! Only multiples of 8 are compared, each with the next one measured if that is near: their excess
//! is `ln T(d2)/T(d1) - ln work(d2)/work(d1)`. It is a step where the excess minus Student's t at 1
//! - 0.01 / m, for m such pairs, times the standard error of a difference is above ln 1.05.

use super::cliff::WINDOW;
use super::kernel::KernelChange;
use super::{Curve, NOTABLE_RATIO};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub from_dim: usize,
    pub to_dim: usize,
    pub ratio: f64,
    /// The ratio of the times over that of the work: 1 where the time grows as the work does.
    pub excess: f64,
    /// What runs below and above; null where the same kernels run, or none is known.
    pub kernel_change: Option<KernelChange>,
}

/// Whether these dimensions are neighbours: up to 16 apart, or an eighth of the lower one. Whatever
/// happens in a wider gap does not happen at its end.
fn is_near(from: usize, to: usize) -> bool {
    to - from <= WINDOW.max(from / 8)
}

pub fn find(curve: &Curve) -> Vec<Step> {
    let aligned: Vec<usize> =
        (0..curve.points().len()).filter(|&at| curve.points[at].dim.is_multiple_of(8)).collect();
    let pairs = aligned.windows(2).map(|pair| [pair[0], pair[1]]);
    let near = |[from, to]: &[usize; 2]| is_near(curve.points[*from].dim, curve.points[*to].dim);
    let pairs: Vec<[usize; 2]> = pairs.filter(near).collect();
    let steps = pairs.iter().filter_map(|&[from, to]| {
        let margin = curve.margin([from, to], pairs.len())?;
        let ratio = curve.ratio(to, from);
        let excess = ratio * curve.points[from].work / curve.points[to].work;
        (excess.ln() - margin > NOTABLE_RATIO.ln()).then(|| Step {
            from_dim: curve.points[from].dim,
            to_dim: curve.points[to].dim,
            ratio,
            excess,
            kernel_change: curve.kernel_change(from, to),
        })
    });
    steps.collect()
}
