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

/// Device, date, and how many points.
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

/// A box above everything else; nothing without warnings.
pub fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"warnings\" aria-labelledby=\"warnings-title\"><h2 \
         id=\"warnings-title\">Before you believe \
         the numbers</h2><ul>{}</ul></section>",
        items(warnings)
    )
}

/// The findings as a list; the less telling ones fold away.
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

/// How often each case was launched, and by what.
pub fn protocol(raw: &Raw) -> String {
    let metadata = &raw.metadata;
    let protocol = metadata.protocol;
    let mut facts = vec![
        ("Device", metadata.device_title()),
        (
            "Protocol",
            match protocol.kind {
                ProtocolKind::Standard => format!(
                    "{} trials; in each, every case once in a random order: at least {} launches \
                     to warm up, then at \
                     least {} timed ones; of variants {} and {}",
                    protocol.trials,
                    protocol.warmup,
                    protocol.measure,
                    protocol.of_variants().warmup,
                    protocol.of_variants().measure
                ),
                ProtocolKind::Adaptive => format!(
                    "adaptive: {} trials, in each every case once in a random order; the last \
                     takes as many samples \
                     as the scatter of the first asks for",
                    protocol.trials
                ),
            },
        ),
        ("Seed", metadata.seed.to_string()),
        ("Started", metadata.started_at.clone()),
        ("Took", format!("{:.0} s", metadata.wall_s)),
        ("Run", metadata.run_id.clone()),
        ("Night Sweep", format!("{}, Criterion {}", metadata.night_sweep, metadata.criterion)),
    ];
    facts.extend(metadata.shard.clone().map(|shard| ("Shard", shard)));
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", html(value)))
        .collect();
    format!("<dl class=\"facts\">{facts}</dl>")
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

/// A JSON value as its source.
///
/// # Errors
/// If it cannot be expressed in JSON.
pub fn source(value: &Value) -> Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let lines: Vec<String> = text.lines().map(html).collect();
    Ok(format!("<pre>{}</pre>", lines.join("\n")))
}

/// What timing costs on the device, and what the device can do.
///
/// # Errors
/// If it cannot be expressed in JSON.
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

/// Where the time of the run went.
///
/// # Errors
/// If it cannot be expressed in JSON.
pub fn breakdown(breakdown: &Breakdown) -> Result<String> {
    Ok(facts(&rounded(serde_json::to_value(breakdown)?)))
}

/// The same with numbers that a person reads: four digits.
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

/// The checks as a list of facts.
pub fn checks(checks: &[Check]) -> String {
    let facts = checks.iter().map(|Check { check, outcome, detail }| {
        let verdict = outcome.name();
        let mut letters = check.chars();
        let first: String = letters.by_ref().take(1).flat_map(char::to_uppercase).collect();
        format!(
            "<dt>{}{}</dt><dd>{verdict}: {}</dd>",
            html(&first),
            html(letters.as_str()),
            html(detail)
        )
    });
    format!("<dl class=\"facts\">{}</dl>", facts.collect::<String>())
}
