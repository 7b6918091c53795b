//! Steps: where the time of well aligned dimensions jumps by more than the work, as at the boundary
//! of a tile or of a kernel.
//!
//! Only multiples of 8 are compared, each with the next one measured: their excess is `ln
//! T(d2)/T(d1) - ln work(d2)/work(d1)`. It is a step where the excess minus Student's t at 1 - 0.01
//! / (m - 1), for m such dimensions, times the standard error of a difference is above ln 1.05.

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

pub fn find(curve: &Curve) -> Vec<Step> {
    let aligned: Vec<usize> =
        (0..curve.points().len()).filter(|&at| curve.points[at].dim.is_multiple_of(8)).collect();
    let comparisons = aligned.len().saturating_sub(1);
    let steps = aligned.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let margin = curve.margin([from, to], comparisons)?;
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
