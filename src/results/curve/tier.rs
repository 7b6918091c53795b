//! Tiers: what the alignment of a dimension costs, by the largest power of two that divides it.
//!
//! Each dimension is compared with its next multiple of 16; a class costs the median of these
//! ratios. Whether a class differs from the multiples of 8 by more than chance, a permutation test
//! tells (Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, 3rd ed., chapter 3):
//! the labels of the two classes are permuted inside each block of 16 dimensions, so that growth
//! along the curve plays no part, and the difference of the medians is compared with that of 999
//! draws. The multiples of 8 themselves are compared with those of 16.

use super::Curve;
use crate::stats::median;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Dimensions by the largest of 16, 8, 4 and 2 that divides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Odd,
    Mod2,
    Mod4,
    Mod8,
    Mod16,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    pub class: Class,
    pub points: usize,
    /// Median of their times over that at their next multiple of 16.
    pub multiplier: f64,
    /// Chance that labels at random make the class as much slower than the multiples of 8 (which
    /// are compared with those of 16); null for the multiples of 16, and where there is nothing to
    /// compare with.
    pub p_value: Option<f64>,
}

/// Draws of the permutation test: the smallest p value is one over this plus one.
const DRAWS: usize = 999;

/// Dimensions whose labels are permuted among each other.
const BLOCK: usize = 16;

impl Class {
    pub fn of(dim: usize) -> Class {
        match dim.trailing_zeros() {
            0 => Class::Odd,
            1 => Class::Mod2,
            2 => Class::Mod4,
            3 => Class::Mod8,
            _ => Class::Mod16,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Class::Odd => "odd",
            Class::Mod2 => "mod2",
            Class::Mod4 => "mod4",
            Class::Mod8 => "mod8",
            Class::Mod16 => "mod16",
        }
    }

    fn reference(self) -> Option<Class> {
        match self {
            Class::Odd | Class::Mod2 | Class::Mod4 => Some(Class::Mod8),
            Class::Mod8 => Some(Class::Mod16),
            Class::Mod16 => None,
        }
    }
}

pub fn find(curve: &Curve) -> Vec<Tier> {
    let excesses = excesses(curve);
    [Class::Odd, Class::Mod2, Class::Mod4, Class::Mod8, Class::Mod16]
        .into_iter()
        .filter_map(|class| {
            let own: Vec<f64> =
                excesses.iter().filter(|e| e.class == class).map(|e| e.log_ratio).collect();
            Some(Tier {
                class,
                points: own.len(),
                multiplier: median(&own)?.exp(),
                p_value: class.reference().and_then(|other| p_value(&excesses, class, other)),
            })
        })
        .collect()
}

struct Excess {
    class: Class,
    /// That multiple of 16: dimensions that share it are a block.
    block: usize,
    log_ratio: f64,
}

fn excesses(curve: &Curve) -> Vec<Excess> {
    let points = curve.points().iter().enumerate();
    points
        .filter_map(|(at, point)| {
            let block = point.dim.next_multiple_of(BLOCK);
            let log_ratio = curve.means[at] - curve.means[curve.index_of(block)?];
            Some(Excess { class: Class::of(point.dim), block, log_ratio })
        })
        .collect()
}

/// Chance that `class` is as much slower than `reference` where labels are given at random; none
/// where no block has both.
fn p_value(excesses: &[Excess], class: Class, reference: Class) -> Option<f64> {
    let both: Vec<&Excess> =
        excesses.iter().filter(|e| [class, reference].contains(&e.class)).collect();
    let blocks: Vec<&[&Excess]> = both.chunk_by(|a, b| a.block == b.block).collect();
    let mixed = |block: &&&[&Excess]| block.iter().any(|e| e.class != block[0].class);
    blocks.iter().find(mixed)?;

    let mut labels: Vec<Vec<Class>> =
        blocks.iter().map(|block| block.iter().map(|e| e.class).collect()).collect();
    let difference = |labels: &[Vec<Class>]| {
        let labelled = || both.iter().zip(labels.iter().flatten());
        let of = |class| -> Vec<f64> {
            labelled().filter(|(_, label)| **label == class).map(|(e, _)| e.log_ratio).collect()
        };
        Some(median(&of(class))? - median(&of(reference))?)
    };
    let observed = difference(&labels)?;
    // The same draws for the same run: a report made again is the same report.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let as_large = (0..DRAWS)
        .filter(|_| {
            labels.iter_mut().for_each(|block| block.shuffle(&mut rng));
            // Equal but for rounding counts as equal.
            difference(&labels).is_some_and(|drawn| drawn >= observed - 1e-12)
        })
        .count();
    Some((as_large + 1) as f64 / (DRAWS + 1) as f64)
}
