//! What a launch costs in energy: the dimension that does most work for a joule, and what
//! misalignment costs in joules. Of any type of experiment, where energy was measured.

use crate::results::raw::{Energy, Raw, Row};
use crate::results::summary::{CurveEnergy, DimEnergy, EnergyPenalty, Summary};
use crate::results::view::{Layout, View};
use crate::units::{joules, ratio, three_digits};
use std::collections::BTreeMap;

/// The operations of a model share no dimension, and are left out.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    if let Layout::Model = view.layout {
        return;
    }
    let curves = raw.curves().into_iter();
    summary.energy =
        curves.filter_map(|((series, curve), rows)| of(curve, series, &rows)).collect();
    summary.findings.extend(summary.energy.iter().map(|curve| sentence(curve, view.dim)));
}

/// None where there are fewer than two dimensions to compare.
fn of(curve: &str, series: &str, rows: &[&Row]) -> Option<CurveEnergy> {
    let measured = rows.iter().filter_map(|row| row.measured());
    let by_dim: BTreeMap<usize, Energy> =
        measured.filter_map(|row| Some((row.point.dim, row.energy?))).collect();
    if by_dim.len() < 2 {
        return None;
    }
    let work = |(_, energy): &(&usize, &Energy)| energy.tflop_per_joule;
    let (&dim, best) = by_dim.iter().max_by(|a, b| work(a).total_cmp(&work(b)))?;
    let penalties = by_dim.iter().filter_map(|(&dim, energy)| {
        let next_dim = dim.next_multiple_of(8);
        penalty((dim, energy), (next_dim, by_dim.get(&next_dim)?))
    });
    Some(CurveEnergy {
        curve: curve.to_owned(),
        series: series.to_owned(),
        most_efficient: DimEnergy {
            dim,
            joules_per_launch: best.joules_per_launch,
            tflop_per_joule: best.tflop_per_joule,
        },
        worst_penalty: penalties.max_by(|a, b| a.ratio.total_cmp(&b.ratio)),
    })
}

/// None where it may be that there is none.
fn penalty(
    (dim, energy): (usize, &Energy),
    (next_dim, next): (usize, &Energy),
) -> Option<EnergyPenalty> {
    let ratio = energy.joules_per_launch / next.joules_per_launch;
    let uncertain = (energy.uncertainty_pct + next.uncertainty_pct) / 100.0;
    (dim != next_dim && ratio > 1.0 + uncertain).then_some(EnergyPenalty {
        dim,
        next_dim,
        ratio,
        joules_per_launch: energy.joules_per_launch,
        next_joules_per_launch: next.joules_per_launch,
    })
}

fn sentence(curve: &CurveEnergy, dim: &str) -> String {
    let (name, best) = (&curve.curve, curve.most_efficient);
    let (at, work) = (best.dim, three_digits(best.tflop_per_joule));
    let penalty = match curve.worst_penalty {
        None => format!("; no {dim} is sure to need more than its next multiple of 8"),
        Some(worst) => format!(
            "; {dim}={} needs {} the energy of {dim}={}, {} instead of {}",
            worst.dim,
            ratio(worst.ratio),
            worst.next_dim,
            joules(worst.joules_per_launch),
            joules(worst.next_joules_per_launch),
        ),
    };
    let launch = joules(best.joules_per_launch);
    format!(
        "{name}: {dim}={at} needs the least energy for its work, {work} TFLOP/J ({launch} a \
         launch){penalty}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(joules_per_launch: f64, uncertainty_pct: f64) -> Energy {
        Energy {
            joules_per_launch,
            uncertainty_pct,
            mean_watts: 700.0,
            polled_watts: None,
            tflop_per_joule: 1.0,
            seconds: 1.5,
            launches: 1000.0,
        }
    }

    #[test]
    fn a_penalty_is_more_than_what_is_uncertain() {
        let next = energy(0.010, 0.5);
        let found = penalty((107, &energy(0.0185, 0.5)), (112, &next)).unwrap();
        assert!((found.ratio - 1.85).abs() < 1e-12, "{found:?}");
        assert_eq!((found.joules_per_launch, found.next_joules_per_launch), (0.0185, 0.010));
        assert_eq!(penalty((107, &energy(0.01009, 0.5)), (112, &next)), None);
        assert!(penalty((107, &energy(0.01011, 0.5)), (112, &next)).is_some());
        assert_eq!(penalty((112, &energy(0.02, 0.5)), (112, &next)), None);
    }
}
