//! HET1: what it costs that the heads of a layer differ in dimension.

use super::check::{self, Problem, problem};
use super::fp16;
use super::value::{List, Size};
use crate::workload::operation::Gemm;
use crate::workload::shape::{DType, GemmShape};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// HET1: projections of `total_N` tokens from `total_N` features to the heads of each pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeteroBatching {
    /// Element type.
    #[serde(default = "fp16")]
    pub dtype: DType,
    /// M and K of every product; the published name says N because a uniform pattern is as wide.
    #[serde(rename = "total_N")]
    pub total_n: Size,
    /// Heads in each pattern.
    #[serde(rename = "H")]
    pub heads: Size,
    /// How the heads of a layer divide into groups of one dimension, by name.
    pub patterns: IndexMap<String, Pattern>,
}

/// A layer's heads, grouped by dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {groups: [{dim, count}]}")]
pub struct Pattern {
    /// A product each.
    pub groups: List<HeadGroup>,
}

/// Heads of one dimension, computed by one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {dim, count}")]
pub struct HeadGroup {
    /// Elements of each head.
    pub dim: Size,
    /// Heads.
    pub count: Size,
}

impl HeadGroup {
    /// Columns of this group's product.
    pub fn n(self) -> usize {
        self.dim.get() * self.count.get()
    }
}

impl Pattern {
    /// Columns of all groups together.
    pub fn n(&self) -> usize {
        self.groups.iter().map(|group| group.n()).sum()
    }

    fn largest_dim(&self) -> usize {
        self.groups.iter().map(|group| group.dim.get()).max().unwrap_or(0)
    }

    fn heads(&self) -> usize {
        self.groups.iter().map(|group| group.count.get()).sum()
    }
}

impl HeteroBatching {
    /// The product that computes `n` columns.
    pub fn gemm(&self, n: usize) -> Gemm {
        Gemm::dense(GemmShape { m: self.total_n.get(), n, k: self.total_n.get() })
    }

    /// One product for the whole pattern, every head padded to the largest dimension.
    pub fn padded(&self, pattern: &Pattern) -> Gemm {
        let padded = self.gemm(pattern.largest_dim() * self.heads.get());
        Gemm { data: self.gemm(pattern.n()).shape, ..padded }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.patterns.is_empty() {
            return Err(problem("patterns", "there is none: it needs at least one"));
        }
        let cases = self.patterns.values().map(|pattern| 2 + pattern.groups.len()).sum();
        check::cases("patterns", 0..cases, 1)?;
        self.patterns.iter().try_for_each(|(name, pattern)| self.check_pattern(name, pattern))
    }

    fn check_pattern(&self, name: &str, pattern: &Pattern) -> Result<(), Problem> {
        let key = format!("patterns.{name}");
        if !is_plain(name) {
            let allowed = "1 to 32 letters, digits or any of _.-, no dot first";
            return Err(problem(
                &key,
                format!("a pattern's name stands in ids; allowed are {allowed}"),
            ));
        }
        let mut dims = HashSet::new();
        if let Some(group) = pattern.groups.iter().find(|group| !dims.insert(group.dim)) {
            let what = format!("two groups have dim {}: make them one, counts added", group.dim);
            return Err(problem(&key, what));
        }
        if pattern.heads() != self.heads.get() {
            let (sum, heads) = (pattern.heads(), self.heads);
            return Err(problem(
                &key,
                format!("its counts sum to {sum}; they have to sum to H, {heads}"),
            ));
        }
        // No group and no sum of groups is wider than the pattern padded to its largest dimension.
        let Some(padded) = pattern.largest_dim().checked_mul(self.heads.get()) else {
            return Err(problem(&key, "dim times H overflows"));
        };
        check::gemm(&key, self.gemm(padded).shape)
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=32).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}
