//! What one has and what one could have: AUTO beside the fastest of ours, or beside our kernel for
//! decode.

use crate::results::raw::{Measured, Raw, Shape};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::stats::median;
use crate::units::ratio;
use crate::workload::Precision;
use serde_json::Value;
use std::collections::HashMap;

const AUTO: &str = "AUTO";
const FASTEST: &str = "NS_FASTEST";
const DECODE: &str = "NS_FLASH_DECODE";

/// For each curve of AUTO beside which one of these of ours was timed: how much longer AUTO takes,
/// and where most.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    beside(FASTEST, summary, raw, view);
    beside(DECODE, summary, raw, view);
}

fn beside(ours: &str, summary: &mut Summary, raw: &Raw, view: &View) {
    let of_ours: HashMap<Key, &Measured> = raw.measured().filter_map(key_of(ours)).collect();
    for ((_, curve), rows) in raw.curves() {
        let of_auto = rows.iter().filter_map(|row| row.measured()).filter_map(key_of(AUTO));
        let pairs: Vec<(f64, &Measured, &Measured)> = of_auto
            .filter_map(|(key, auto)| {
                let own = *of_ours.get(&key)?;
                Some((auto.timing.p50 / own.timing.p50, auto, own))
            })
            .collect();
        let ratios: Vec<f64> = pairs.iter().map(|(ratio, ..)| *ratio).collect();
        let worst = pairs.iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let (Some((most, auto, own)), Some(middle)) = (worst, median(&ratios)) else {
            continue;
        };
        let curve = curve.strip_suffix(AUTO).unwrap_or(curve).trim_end_matches(", ");
        let (dim, at, most, middle) = (view.dim, auto.point.dim, ratio(*most), ratio(middle));
        let backend = own.backend_selected.as_deref().unwrap_or(ours);
        let padded = own.padded_to.map(|head_dim| format!(" padded to {head_dim}"));
        let beside = match ours {
            FASTEST => {
                let ran = format!("{backend}{}", padded.unwrap_or_default());
                format!("the fastest of ours ({dim} {at}: {ran})")
            }
            ours => format!("{ours} ({dim} {at})"),
        };
        summary.findings.push(match ratios.len() {
            1 => format!("{curve}: AUTO takes {most} as long as {beside}."),
            n => format!(
                "{curve}: AUTO takes up to {most} as long as {beside}, and {middle} in the median \
                 of {n} {dim}s."
            ),
        });
    }
}

/// What both have in common.
type Key = (Shape, Precision, Option<bool>);

fn key_of<'a>(backend: &str) -> impl Fn(&'a Measured) -> Option<(Key, &'a Measured)> {
    move |row| {
        let causal = row.point.labels.get("causal").and_then(Value::as_bool);
        let key = (row.point.shape, row.point.dtype, causal);
        (row.point.text("backend") == Some(backend)).then_some((key, row))
    }
}
