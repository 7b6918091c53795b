//! Where along a curve other kernels run.

use super::Curve;
use serde::{Deserialize, Serialize};

/// The kernels of two dimensions that do not run the same, in launch order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelChange {
    pub from: Vec<String>,
    pub to: Vec<String>,
}

impl KernelChange {
    /// None where both ran the same kernels, or those of one are not known.
    pub fn between(from: &[String], to: &[String]) -> Option<KernelChange> {
        let changed = from != to && !from.is_empty() && !to.is_empty();
        changed.then(|| KernelChange { from: from.to_vec(), to: to.to_vec() })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelBoundary {
    pub from_dim: usize,
    pub to_dim: usize,
    #[serde(flatten)]
    pub change: KernelChange,
}

/// Every change along the curve, in ascending order: between two of them all dimensions run the
/// same kernels.
pub fn boundaries(curve: &Curve) -> Vec<KernelBoundary> {
    let neighbours = 1..curve.points().len();
    neighbours
        .filter_map(|to| {
            Some(KernelBoundary {
                from_dim: curve.points[to - 1].dim,
                to_dim: curve.points[to].dim,
                change: curve.kernel_change(to - 1, to)?,
            })
        })
        .collect()
}

impl Curve {
    pub(super) fn kernel_change(&self, from: usize, to: usize) -> Option<KernelChange> {
        KernelChange::between(&self.points[from].kernels, &self.points[to].kernels)
    }
}
