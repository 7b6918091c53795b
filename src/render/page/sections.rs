//! The parts of a page that are text: built here, every string escaped.

use super::escape::html;
use crate::journal::record::Status;
use crate::measure::record::ProtocolKind;
use crate::results::breakdown::Breakdown;
use crate::results::checks::Check;
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use anyhow::Result;
use serde_json::{Value, json};

pub fn subtitle(raw: &Raw, summary: &Summary) -> String {
    let metadata = &raw.metadata;
    let started = metadata.started_at.get(..16).unwrap_or(&metadata.started_at).replace('T', " ");
    let failed = match summary.failed {
        0 => String::new(),
        failed => format!(" · {failed} without a result"),
    };
    let partial = if metadata.status == Status::Partial { " · partial" } else { "" };
    html(&format!(
        "{} · {started} UTC · {} points{failed}{partial}",
        metadata.device_title(),
        summary.num_measurements
    ))
}

/// A box above everything else; nothing without texts.
pub fn warnings(id: &str, title: &str, texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"warnings\" aria-labelledby=\"{id}-title\"><h2 \
         id=\"{id}-title\">{title}</h2><ul>{}</ul></section>",
        items(texts)
    )
}

pub fn findings(findings: &[String]) -> String {
    const OPEN: usize = 6;
    let (first, rest) = findings.split_at(findings.len().min(OPEN));
    if first.is_empty() {
        return "<p class=\"note\">None: no two points can be compared.</p>".to_owned();
    }
    let mut list = format!("<ol class=\"findings\">{}</ol>", items(first));
    if !rest.is_empty() {
        list.push_str(&format!(
            "<details><summary>{} more</summary><ol class=\"findings\" \
             start=\"{}\">{}</ol></details>",
            rest.len(),
            OPEN + 1,
            items(rest)
        ));
    }
    list
}

fn items(texts: &[String]) -> String {
    texts.iter().map(|text| format!("<li>{}</li>", html(text))).collect()
}

pub fn protocol(raw: &Raw) -> String {
    let metadata = &raw.metadata;
    let protocol = metadata.protocol;
    let variants = protocol.of_variants();
    let launches = match protocol.kind {
        ProtocolKind::Standard => format!(
            "{} trials; in each, every case once in a random order: at least {} launches to warm \
             up, then at least {} timed ones; of variants {} and {}",
            protocol.trials, protocol.warmup, protocol.measure, variants.warmup, variants.measure
        ),
        ProtocolKind::Adaptive => format!(
            "adaptive: {} trials, in each every case once in a random order; then up to {} of the \
             cases that these leave undecided",
            protocol.trials,
            protocol.most_trials()
        ),
        ProtocolKind::Gate => format!(
            "that of a gate: the latency alone, {} trials of at least {} launches",
            protocol.trials, protocol.measure
        ),
    };
    facts(&json!({
        "Device": metadata.device_title(),
        "Protocol": launches,
        "Seed": metadata.seed,
        "Started": metadata.started_at,
        "Took": format!("{:.0} s", metadata.wall_s),
        "Run": metadata.run_id,
        "Night Sweep": format!("{}, Criterion {}", metadata.night_sweep, metadata.criterion),
        "Shard": metadata.shard,
    }))
}

/// A JSON value as nested lists of names and values; what is null is left out.
pub fn facts(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", html(name), facts(value)));
            format!("<dl class=\"facts\">{}</dl>", fields.collect::<String>())
        }
        Value::String(text) => html(text),
        Value::Null => "none".to_owned(),
        other => html(&other.to_string()),
    }
}

pub fn source(value: &Value) -> Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let lines: Vec<String> = text.lines().map(html).collect();
    Ok(format!("<pre>{}</pre>", lines.join("\n")))
}

pub fn calibration(summary: &Summary) -> Result<String> {
    let Some(calibration) = summary.calibration else {
        return Ok(
            "<p class=\"note\">Measured by the host's clock: nothing to calibrate.</p>".to_owned()
        );
    };
    let mut all = json!({ "calibration": calibration });
    if let Some(datasheet) = summary.datasheet {
        all["datasheet"] = json!(datasheet);
    }
    Ok(facts(&rounded(all)))
}

pub fn breakdown(breakdown: &Breakdown) -> Result<String> {
    Ok(facts(&rounded(serde_json::to_value(breakdown)?)))
}

fn rounded(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, rounded(value))).collect()
        }
        Value::Number(number) => {
            let short =
                number.as_f64().and_then(|value| format!("{value:.3e}").parse::<f64>().ok());
            short.map_or(Value::Number(number), |short| json!(short))
        }
        other => other,
    }
}

pub fn checks(checks: &[Check]) -> String {
    let checks = checks.iter().map(|Check { check, outcome, detail }| {
        let mut letters = check.chars();
        let first: String = letters.by_ref().take(1).flat_map(char::to_uppercase).collect();
        let verdict = format!("{}: {detail}", outcome.name());
        (first + letters.as_str(), Value::from(verdict))
    });
    facts(&checks.collect())
}
