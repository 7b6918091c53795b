//! A sweep in sentences: its cliffs, its steps, and what alignment costs.

use crate::results::curve::NOTABLE_RATIO;
use crate::results::curve::cliff::{Cliff, WINDOW};
use crate::results::curve::tier::Class;
use crate::results::raw::Raw;
use crate::results::summary::{Curve, Summary};
use crate::results::view::View;
use crate::units::{list, percent, ratio};

const SIGNIFICANT: f64 = 0.01;

pub fn add(summary: &mut Summary, _: &Raw, view: &View) {
    let mut curves: Vec<&Curve> = summary.curves.iter().collect();
    let worst = |curve: &Curve| worst_cliff(curve).map_or(0.0, |cliff| cliff.ratio);
    curves.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    let of_all = |of: fn(&Curve, &str) -> Option<String>| {
        curves.iter().filter_map(|curve| of(curve, view.dim)).collect::<Vec<_>>()
    };
    let sentences = [of_all(cliffs), of_all(steps), of_all(tiers)].concat();
    summary.findings.extend(sentences);
}

fn worst_cliff(curve: &Curve) -> Option<&Cliff> {
    curve.cliffs.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio))
}

fn cliffs(curve: &Curve, dim: &str) -> Option<String> {
    let name = &curve.curve;
    let classified = curve.points - curve.unclassified.len().min(curve.points);
    if let Some(worst) = worst_cliff(curve) {
        let (at, pad_to, count) = (worst.dim, worst.pad_to, curve.cliffs.len());
        let (costs, at_least) = (ratio(worst.ratio), ratio(worst.ratio_lower));
        let overhead = percent(worst.overhead_pct);
        let others = match count {
            1 => String::new(),
            _ => format!(" {count} of {classified} are cliffs."),
        };
        return Some(format!(
            "{name}: {dim}={at} costs {costs} {dim}={pad_to} (at least {at_least}, 99 % over the \
             curve); \
             pad +{overhead}.{others}"
        ));
    }
    if classified == 0 {
        return None;
    }
    let suspects = match curve.suggestive.len() {
        0 => String::new(),
        1..=4 => format!(" {} may; more trials would tell.", list(&curve.suggestive)),
        many => format!(" {many} may; more trials would tell."),
    };
    let more = percent((NOTABLE_RATIO - 1.0) * 100.0);
    Some(format!(
        "{name}: no {dim} is sure to cost {more} more than one up to {WINDOW} above it.{suspects}"
    ))
}

fn steps(curve: &Curve, dim: &str) -> Option<String> {
    let steps: Vec<String> = curve
        .steps
        .iter()
        .map(|step| {
            let (from, to, excess) = (step.from_dim, step.to_dim, ratio(step.excess));
            format!("{from} to {to} ({}, {excess} beyond the work)", ratio(step.ratio))
        })
        .collect();
    let name = &curve.curve;
    (!steps.is_empty()).then(|| format!("{name}: the time steps up from {dim} {}.", list(&steps)))
}

fn tiers(curve: &Curve, dim: &str) -> Option<String> {
    let tiers: Vec<String> = curve
        .tiers
        .iter()
        .filter(|tier| tier.multiplier >= NOTABLE_RATIO)
        .filter(|tier| tier.p_value.is_some_and(|p| p <= SIGNIFICANT))
        .map(|tier| {
            let class = match tier.class {
                Class::Odd => "odd ones",
                Class::Mod2 => "multiples of 2",
                Class::Mod4 => "of 4",
                Class::Mod8 => "of 8",
                Class::Mod16 => "of 16",
            };
            format!("{class} {}", ratio(tier.multiplier))
        })
        .collect();
    let name = &curve.curve;
    (!tiers.is_empty())
        .then(|| format!("{name}: {dim} against the next multiple of 16: {}.", list(&tiers)))
}
