//! The table that closes a run.

use crate::measure::record::Peaks;
use crate::results::checks;
use crate::results::findings::{backend, dim_name, pattern};
use crate::results::raw::{Raw, Row, Variant};
use crate::results::summary::{Curve, DimTime, Summary};
use crate::units::{percent, ratio, time};
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use std::collections::BTreeSet;

/// No line is longer, in columns.
pub const WIDTH: u16 = 100;

/// Findings shown; summary.json has them all.
const FINDINGS: usize = 3;

/// A title, a table of the experiment's own, failures by kind, warnings and findings; no colour, no newline at the
/// end.
pub fn of(raw: &Raw, summary: &Summary) -> String {
    let metadata = &raw.metadata;
    let partial =
        if metadata.status == crate::journal::record::Status::Partial { ", partial" } else { "" };
    let shard = metadata.shard.as_ref().map(|shard| format!(", shard {shard}")).unwrap_or_default();
    let mut paragraphs = vec![wrapped(
        "",
        &format!(
            "{} on {}: {} points, {} failed, {} trials{shard}{partial}",
            raw.experiment,
            metadata.device_title(),
            summary.num_measurements,
            summary.failed,
            metadata.protocol.trials
        ),
    )];
    if summary.successful == 0 {
        paragraphs.push("No point was measured.".to_owned());
    } else {
        paragraphs.push(match &*metadata.group {
            "S2" => backends(raw),
            "P1" => padding(raw, summary),
            "HET1" => patterns(raw, summary),
            _ => curves(&summary.curves, dim_name(raw)),
        });
    }
    if !summary.failures_by_kind.is_empty() {
        let kinds = summary.failures_by_kind.iter();
        let kinds: Vec<String> = kinds
            .map(|(kind, count)| format!("{count} {}", kind.name().replace('_', " ")))
            .collect();
        paragraphs.push(format!("failed: {}", kinds.join(", ")));
    }
    paragraphs.extend(summary.calibration.and_then(|found| found.peaks).map(|peaks| {
        let datasheet = summary.datasheet.map_or_else(String::new, |sheet| {
            format!(" (datasheet: {:.0} TFLOP/s, {:.0} GB/s)", sheet.tflops, sheet.memory_gbs)
        });
        let Peaks { fp16_tflops, bf16_tflops, copy_gbs } = peaks;
        wrapped(
            "",
            &format!(
                "peaks here: {fp16_tflops:.0} TFLOP/s fp16, {bf16_tflops:.0} bf16, {copy_gbs:.0} GB/s{datasheet}"
            ),
        )
    }));
    paragraphs.push(wrapped("", &checks::line(&summary.checks)));
    paragraphs.extend(summary.warnings.iter().map(|warning| wrapped("! ", warning)));
    // Last, where the eye is when a night's run has scrolled by.
    paragraphs.extend(summary.findings.iter().take(FINDINGS).map(|finding| wrapped("- ", finding)));
    paragraphs.join("\n")
}

fn curves(curves: &[Curve], dim: &str) -> String {
    let (fastest, slowest) = (format!("fastest {dim}"), format!("slowest {dim}"));
    let mut table =
        table(&["curve", "points", &fastest, &slowest, "worst vs multiple of 8", "cliffs"]);
    let at = |point: Option<DimTime>| {
        point.map_or_else(|| "-".to_owned(), |p| format!("{}: {}", p.dim, time(p.p50_ms)))
    };
    for curve in curves {
        let worst = curve.worst_penalty.map_or_else(
            || "-".to_owned(),
            |p| format!("{}: {} of {}", p.dim, ratio(p.ratio), p.next_dim),
        );
        table.add_row([
            curve.curve.clone(),
            curve.points.to_string(),
            at(curve.fastest),
            at(curve.slowest),
            worst,
            curve.cliffs.len().to_string(),
        ]);
    }
    table.trim_fmt()
}

/// A row per head_dim, a column per backend.
fn backends(raw: &Raw) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in &raw.measurements {
        if !names.contains(&backend(row)) {
            names.push(backend(row));
        }
    }
    let dims: BTreeSet<usize> = raw.measurements.iter().map(|row| row.point().dim).collect();
    let mut table = table(&[&["head_dim"], &*names].concat());
    for dim in dims {
        let cell = |name: &&str| {
            let row =
                raw.measurements.iter().find(|row| row.point().dim == dim && backend(row) == *name);
            row.map_or_else(|| "-".to_owned(), median)
        };
        table.add_row([vec![dim.to_string()], names.iter().map(cell).collect()].concat());
    }
    table.trim_fmt()
}

fn padding(raw: &Raw, summary: &Summary) -> String {
    let mut table =
        table(&["operation", "dim", "median", "gain", "memory", "on the fly", "net gain"]);
    for row in &raw.measurements {
        let point = row.point();
        let found =
            summary.padding.iter().find(|p| p.curve == point.curve && p.physical_dim == point.dim);
        let gain = |gain: Option<f64>| gain.map(ratio).unwrap_or_default();
        let memory = found.and_then(|p| p.memory_overhead_pct);
        table.add_row([
            point.curve.clone(),
            point.dim.to_string(),
            median(row),
            gain(found.map(|p| p.gain)),
            memory.map(|pct| format!("+{}", percent(pct))).unwrap_or_default(),
            row.variants().get("on_the_fly").map(variant_median).unwrap_or_default(),
            gain(found.and_then(|p| p.on_the_fly_gain)),
        ]);
    }
    table.trim_fmt()
}

fn patterns(raw: &Raw, summary: &Summary) -> String {
    let names: BTreeSet<&str> =
        raw.measurements.iter().flat_map(|row| row.variants().keys()).map(String::as_str).collect();
    let titles: Vec<String> = names.iter().map(|name| name.replace('_', " ")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = table(&[&["pattern", "in sequence", "against uniform"], &*titles].concat());
    for row in &raw.measurements {
        let found = summary.heterogeneity.iter().find(|h| h.pattern == pattern(row));
        let mut cells = vec![
            pattern(row).to_owned(),
            median(row),
            found.map(|h| ratio(h.penalty)).unwrap_or_default(),
        ];
        let variant =
            |name: &&str| row.variants().get(*name).map(variant_median).unwrap_or_default();
        cells.extend(names.iter().map(variant));
        table.add_row(cells);
    }
    let note = "against uniform: time per useful operation, relative to the pattern uniform";
    format!("{}\n{note}", table.trim_fmt())
}

fn median(row: &Row) -> String {
    match row {
        Row::Measured(row) => time(row.timing.p50),
        Row::Failed(row) => row.error_kind.name().replace('_', " "),
    }
}

fn variant_median(variant: &Variant) -> String {
    match variant {
        Variant::Measured { timing, .. } => time(timing.p50),
        Variant::Failed { error_kind, .. } => error_kind.name().replace('_', " "),
    }
}

/// The rules of a table: above, below the header, and below.
const RULES: [TableComponent; 6] = [
    TableComponent::TopBorder,
    TableComponent::TopBorderIntersections,
    TableComponent::HeaderLines,
    TableComponent::MiddleHeaderIntersections,
    TableComponent::BottomBorder,
    TableComponent::BottomBorderIntersections,
];

/// Headed, framed sparely, numbers to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header);
    for line in RULES {
        table.set_style(line, '─');
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A paragraph no wider than [`WIDTH`], its later lines indented below `bullet`.
pub(crate) fn wrapped(bullet: &str, text: &str) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .add_row([bullet.trim_end(), text]);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1));
    });
    table.trim_fmt().trim_start().to_owned()
}
