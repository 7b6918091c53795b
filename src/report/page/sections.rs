//! The parts of a page that are text: built here, every string escaped.

use super::escape::html;
use crate::record::{Calibration, Status};
use crate::report::json;
use crate::report::raw::Raw;
use crate::report::summary::Summary;
use anyhow::Result;
use serde_json::Value;

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
        "<section class=\"warnings\" aria-labelledby=\"warnings-title\"><h2 id=\"warnings-title\">Before you believe \
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
            "<details><summary>{} more</summary><ol class=\"findings\" start=\"{}\">{}</ol></details>",
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
            format!(
                "{} rounds; in each, every case once in a random order: at least {} launches to warm up, then at least \
                 {} timed ones",
                protocol.trials, protocol.warmup, protocol.measure
            ),
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
    let text = String::from_utf8(json::pretty(value)?)?;
    let lines: Vec<String> = text.lines().map(html).collect();
    Ok(format!("<pre>{}</pre>", lines.join("\n")))
}

/// What event timing costs on the device.
pub fn calibration(calibration: Option<Calibration>) -> String {
    let Some(calibration) = calibration else {
        return "<p class=\"note\">Measured by the host's clock: nothing to calibrate.</p>"
            .to_owned();
    };
    let mut facts = format!(
        "<dt>Smallest step between two events</dt><dd>{:.0} ns</dd>\
         <dt>Two events with nothing between</dt><dd>{:.0} ns; never subtracted</dd>",
        calibration.event_tick_ns, calibration.empty_pair_ns
    );
    if let Some(mhz) = calibration.settled_sm_mhz {
        facts.push_str(&format!("<dt>SM clock after burn-in</dt><dd>{mhz} MHz</dd>"));
    }
    format!("<dl class=\"facts\">{facts}</dl>")
}
