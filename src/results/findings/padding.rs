//! What padding buys: with tensors kept padded, and with the copies timed too.

use crate::results::compared;
use crate::results::raw::Raw;
use crate::results::summary::{Padding, Summary};
use crate::results::view::{Layout, View};
use crate::units::{percent, ratio};

pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    let Layout::Bars(bars) = view.layout else { return };
    let compared = compared::of(raw, bars).into_values();
    summary.padding = compared
        .map(|found| Padding {
            curve: found.row.point.curve.clone(),
            logical_dim: found.base.point.dim,
            physical_dim: found.row.point.dim,
            gain: found.ratio,
            on_the_fly_gain: found.variants.get("on_the_fly").copied(),
            memory_overhead_pct: found.row.point.number("memory_overhead_pct"),
        })
        .collect();
    summary.findings.extend(sentences(&summary.padding));
}

fn sentences(padding: &[Padding]) -> Vec<String> {
    let mut best: Vec<&Padding> = Vec::new();
    for candidate in padding {
        match best.iter_mut().find(|best| best.curve == candidate.curve) {
            Some(best) if candidate.gain > best.gain => *best = candidate,
            Some(_) => {}
            None => best.push(candidate),
        }
    }
    best.iter()
        .map(|p| {
            let memory = p
                .memory_overhead_pct
                .map_or_else(String::new, |pct| format!(", for {} more memory", percent(pct)));
            let copies = p.on_the_fly_gain.map_or_else(String::new, |gain| {
                format!("; net, with the copies timed too, {}", ratio(gain))
            });
            let (curve, from, to, gain) = (&p.curve, p.logical_dim, p.physical_dim, ratio(p.gain));
            format!("{curve}: padding {from} to {to} makes it {gain} as fast{memory}{copies}.")
        })
        .collect()
}
