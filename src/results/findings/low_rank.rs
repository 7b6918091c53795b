//! Low-rank pairs beside the dense layer: up to which rank they pay, and what padding buys.

use crate::results::raw::{Measured, Raw, Shape};
use crate::results::summary::{BreakEven, LowRank, PaddedRank, Summary};
use crate::results::view::View;
use crate::stats::median;
use crate::units::{list, ratio};
use crate::workload::shape::LowRankShape;

pub fn add(summary: &mut Summary, raw: &Raw, _: &View) {
    for ((_, curve), rows) in raw.curves() {
        let ranks = rows.iter().filter_map(|row| Rank::of(row.measured()?)).collect();
        summary.low_rank.extend(of_curve(curve, ranks));
    }
    summary.findings.extend(break_even(&summary.low_rank));
    summary.findings.extend(worst(&summary.low_rank));
    summary.findings.extend(padding(&summary.low_rank));
}

/// A rank of a curve, and what it is compared with.
#[derive(Clone, Copy)]
struct Rank {
    shape: LowRankShape,
    p50_ms: f64,
    dense_ms: f64,
    padded_ms: Option<f64>,
}

impl Rank {
    fn of(row: &Measured) -> Option<Self> {
        let Shape::LowRank(shape) = row.point.shape else { return None };
        let variant = |name| row.variants.get(name)?.p50().ok();
        let (p50_ms, dense_ms) = (row.timing.p50, variant("dense")?);
        Some(Rank { shape, p50_ms, dense_ms, padded_ms: variant("padded") })
    }

    fn is_multiple_of_8(&self) -> bool {
        self.shape.rank.is_multiple_of(8)
    }
}

fn of_curve(curve: &str, mut ranks: Vec<Rank>) -> Option<LowRank> {
    ranks.sort_by_key(|rank| rank.shape.rank);
    let LowRankShape { in_features, out_features, .. } = ranks.first()?.shape;
    let (multiples_of_8, others): (Vec<_>, Vec<_>) =
        ranks.iter().partition(|rank| rank.is_multiple_of_8());
    let dense: Vec<f64> = ranks.iter().map(|rank| rank.dense_ms).collect();
    let padded: Vec<PaddedRank> = ranks.iter().filter_map(padded).collect();
    let gains: Vec<f64> = padded.iter().map(|padded| padded.ratio).collect();
    Some(LowRank {
        curve: curve.to_owned(),
        dense_p50_ms: median(&dense)?,
        parameters_rank: in_features * out_features / (in_features + out_features),
        multiples_of_8: faster_up_to(&multiples_of_8),
        other_ranks: faster_up_to(&others),
        worst: padded.into_iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio)),
        padding_gain: median(&gains),
    })
}

fn padded(rank: &Rank) -> Option<PaddedRank> {
    let ratio = rank.p50_ms / rank.padded_ms?;
    Some(PaddedRank { rank: rank.shape.rank, ratio, of_dense: rank.p50_ms / rank.dense_ms })
}

/// Of ranks in ascending order.
fn faster_up_to(ranks: &[Rank]) -> BreakEven {
    let first_not = ranks.iter().position(|rank| rank.p50_ms >= rank.dense_ms);
    let faster = &ranks[..first_not.unwrap_or(ranks.len())];
    BreakEven {
        faster_up_to: faster.last().map(|rank| rank.shape.rank),
        not_at: first_not.map(|at| ranks[at].shape.rank),
    }
}

fn break_even(found: &[LowRank]) -> Option<String> {
    let words = |known: &BreakEven| match (known.faster_up_to, known.not_at) {
        (Some(rank), None) => format!("{rank} or more"),
        (Some(rank), Some(_)) => rank.to_string(),
        (None, Some(_)) => "none".to_owned(),
        (None, None) => "not measured".to_owned(),
    };
    let curve = |curve: &LowRank| {
        let (aligned, others) = (words(&curve.multiples_of_8), words(&curve.other_ranks));
        format!("{} {aligned} / {others}", curve.curve)
    };
    let curves: Vec<String> = found.iter().map(curve).collect();
    let parameters = found.first()?.parameters_rank;
    Some(format!(
        "Faster than the dense layer up to rank (multiples of 8 / others): {}. No more parameters \
         up to rank {parameters}.",
        curves.join("; ")
    ))
}

fn worst(found: &[LowRank]) -> Option<String> {
    let of = |curve: &LowRank| Some((curve.curve.clone(), curve.worst?));
    let (curve, worst) =
        found.iter().filter_map(of).max_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio))?;
    let PaddedRank { rank, ratio: padded, of_dense } = worst;
    let next = rank.next_multiple_of(8);
    Some(format!(
        "{curve}: rank {rank} takes {} the time of rank {next}, which its weights can be padded \
         to, and {} that of the dense layer.",
        ratio(padded),
        ratio(of_dense)
    ))
}

fn padding(found: &[LowRank]) -> Option<String> {
    let gain = |curve: &LowRank| Some(format!("{} {}", curve.curve, ratio(curve.padding_gain?)));
    let gains: Vec<String> = found.iter().filter_map(gain).collect();
    (!gains.is_empty()).then(|| {
        format!(
            "Other ranks gain when their weights are kept padded to a multiple of 8 (median): {}.",
            list(&gains)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(rank: usize, p50_ms: f64, padded_ms: Option<f64>) -> Rank {
        let shape = LowRankShape { m: 16, in_features: 4096, rank, out_features: 4096 };
        Rank { shape, p50_ms, dense_ms: 2.0, padded_ms }
    }

    #[test]
    fn the_break_even_is_before_the_first_rank_that_is_slower() {
        let ranks = vec![
            rank(1024, 2.5, None),
            rank(64, 0.5, None),
            rank(2048, 1.9, None),
            rank(512, 1.9, None),
            rank(505, 6.0, Some(1.5)),
            rank(107, 1.0, Some(0.8)),
        ];
        let found = of_curve("M=16 fp16", ranks).unwrap();
        let expected = BreakEven { faster_up_to: Some(512), not_at: Some(1024) };
        assert_eq!(found.multiples_of_8, expected);
        assert_eq!(found.other_ranks, BreakEven { faster_up_to: Some(107), not_at: Some(505) });
        assert_eq!(found.parameters_rank, 2048);
        assert_eq!(found.worst, Some(PaddedRank { rank: 505, ratio: 4.0, of_dense: 3.0 }));
        assert_eq!(found.padding_gain, Some(2.625));
        let told = break_even(std::slice::from_ref(&found)).unwrap();
        assert!(told.contains("M=16 fp16 512 / 107."), "{told}");
        assert!(worst(&[found]).unwrap().contains("rank 505 takes 4.00×"));
    }

    #[test]
    fn nothing_is_said_of_ranks_that_were_not_measured() {
        assert!(of_curve("M=16 fp16", vec![]).is_none());
        let found = of_curve("M=16 fp16", vec![rank(512, 3.0, None)]).unwrap();
        assert_eq!(found.multiples_of_8, BreakEven { faster_up_to: None, not_at: Some(512) });
        assert_eq!(found.other_ranks, BreakEven { faster_up_to: None, not_at: None });
        assert_eq!(worst(&[found]), None);
    }
}
