//! Cliffs: dimensions at which a larger one is faster.
//!
//! For a dimension d, `rho(d)` is its time over the least among the measured dimensions d' with d <
//! d' <= d + 16. As padding with zeros to d' does more work, `rho(d) > 1` needs no model of what d
//! ought to cost, and a curve that grows smoothly has no cliff. d is a cliff where the lower bound
//! of rho exceeds 1.05.
//!
//! The least of several noisy times is too small. So each trial in turn is left out, the others
//! choose d', and the trial left out says what d costs against it; the mean of these differences is
//! unbiased (cross-validation). Its lower bound is simultaneous over the curve: Student's t at 1 -
//! 0.01 / n for n dimensions, with the variance of the trials pooled over the curve.

use super::kernel::KernelChange;
use super::{Curve, NOTABLE_RATIO};
use serde::{Deserialize, Serialize};

pub const WINDOW: usize = 16;

/// Among dimensions that lie within this of the best, the smallest is the one to pad to.
pub const AS_GOOD: f64 = 1.005;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cliff {
    pub dim: usize,
    /// The smallest dimension within 0.5 % of the fastest of the next 16.
    pub pad_to: usize,
    /// Time at `dim` over that at `pad_to`: above 1, padding pays.
    pub ratio: f64,
    /// The ratio is at least this, at 99 % for all dimensions of the curve at once.
    pub ratio_lower: f64,
    /// Time at `dim` over that at its next multiple of 8, itself included; null where that was not
    /// measured.
    pub ratio_next_multiple_of_8: Option<f64>,
    pub overhead_pct: f64,
    /// What runs here and there; null where the same kernels run, or none is known.
    pub kernel_change: Option<KernelChange>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cliffs {
    pub cliffs: Vec<Cliff>,
    /// Dimensions that seem to cost more than 5 % too much, but might not: in ascending order.
    pub suggestive: Vec<usize>,
    /// Dimensions with nothing measured to compare them with, the last one of the range at least:
    /// in ascending order.
    pub unclassified: Vec<usize>,
}

pub fn find(curve: &Curve) -> Cliffs {
    let mut found = Cliffs::default();
    for at in 0..curve.points().len() {
        let dim = curve.points[at].dim;
        let Some(Judged { pad, ln_rho, margin }) = judge(curve, at) else {
            found.unclassified.push(dim);
            continue;
        };
        if ln_rho - margin > NOTABLE_RATIO.ln() {
            found.cliffs.push(cliff(curve, at, pad, ln_rho, margin));
        } else if ln_rho > NOTABLE_RATIO.ln() {
            found.suggestive.push(dim);
        }
    }
    found
}

/// Dimensions of which these times tell neither that they are cliffs nor that they are none, each
/// with the one to pad it to: more trials of both may.
pub fn open(curve: &Curve) -> Vec<[usize; 2]> {
    let dims = |at: usize| {
        let Judged { pad, ln_rho, margin } = judge(curve, at)?;
        let is_open = (ln_rho - NOTABLE_RATIO.ln()).abs() <= margin;
        is_open.then(|| [curve.points[at].dim, curve.points[pad].dim])
    };
    (0..curve.points().len()).filter_map(dims).collect()
}

/// What a dimension costs against a larger one, and how far that may be too much by chance.
struct Judged {
    pad: usize,
    ln_rho: f64,
    margin: f64,
}

fn judge(curve: &Curve, at: usize) -> Option<Judged> {
    let window = window(curve, at);
    let pad = window.choose(|other| curve.means[other])?;
    let margin = curve.margin([at, pad], curve.points().len())?;
    Some(Judged { pad, ln_rho: window.ln_rho(), margin })
}

fn cliff(curve: &Curve, at: usize, pad: usize, ln_rho: f64, margin: f64) -> Cliff {
    let (dim, pad_to) = (curve.points[at].dim, curve.points[pad].dim);
    Cliff {
        dim,
        pad_to,
        ratio: ln_rho.exp(),
        ratio_lower: (ln_rho - margin).exp(),
        ratio_next_multiple_of_8: curve
            .index_of(dim.next_multiple_of(8))
            .map(|next| curve.ratio(at, next)),
        overhead_pct: (pad_to as f64 / dim as f64 - 1.0) * 100.0,
        kernel_change: curve.kernel_change(at, pad),
    }
}

struct Window<'a> {
    curve: &'a Curve,
    at: usize,
    others: std::ops::Range<usize>,
}

fn window(curve: &Curve, at: usize) -> Window<'_> {
    let dim = curve.points[at].dim;
    let end = curve.points.partition_point(|point| point.dim <= dim + WINDOW);
    let start = curve.points.partition_point(|point| point.dim <= dim);
    Window { curve, at, others: start..end }
}

impl Window<'_> {
    /// The first point whose time, by its logarithm, is as good as the least; none where there is
    /// no point.
    fn choose(&self, log_ms: impl Fn(usize) -> f64) -> Option<usize> {
        let least = self.others.clone().map(&log_ms).min_by(f64::total_cmp)?;
        self.others.clone().find(|&other| log_ms(other) <= least + AS_GOOD.ln())
    }

    /// The logarithm of rho: its mean over the medians held out, each against the point that the
    /// others choose.
    fn ln_rho(&self) -> f64 {
        let Curve { logs, means, held_out, .. } = self.curve;
        let differences = held_out.iter().filter_map(|&out| {
            let medians = logs[self.at].len() as f64;
            let chosen =
                self.choose(|other| (means[other] * medians - logs[other][out]) / (medians - 1.0))?;
            Some(logs[self.at][out] - logs[chosen][out])
        });
        differences.sum::<f64>() / held_out.len() as f64
    }
}
