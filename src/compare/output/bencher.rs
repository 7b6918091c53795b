//! Bencher Metric Format: the candidate's times, for `bencher run --adapter json`.

use crate::compare::comparison::Comparison;
use anyhow::Result;
use serde_json::{Map, Value, json};

/// `{case: {latency: {value, lower_value, upper_value}}}` in ns, as Bencher's built-in measure has
/// it. The bounds are those of the ratio, at the base's time.
pub fn of(comparison: &Comparison) -> Result<String> {
    let timed = comparison.rows.iter().filter_map(|row| {
        let mut latency = json!({"value": row.cand?.p50_ms * 1e6});
        if let (Some([low, high]), Some(base)) = (row.ci95, row.base) {
            let value = row.cand?.p50_ms;
            latency["lower_value"] = json!((low * base.p50_ms).min(value) * 1e6);
            latency["upper_value"] = json!((high * base.p50_ms).max(value) * 1e6);
        }
        Some((row.case_id.clone(), json!({"latency": latency})))
    });
    let metrics: Map<String, Value> = timed.collect();
    Ok(serde_json::to_string_pretty(&metrics)? + "\n")
}
