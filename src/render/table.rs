//! The table that closes a run.

use crate::experiments;
use crate::measure::record::Peaks;
use crate::results::raw::Raw;
use crate::results::summary::{Curve, DimTime, Summary};
use crate::results::view::{Bars, Layout};
use crate::results::{checks, compared};
use crate::units::{ratio, time};
use crate::workload::ErrorKind;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

pub const WIDTH: u16 = 100;

const FINDINGS: usize = 3;

/// A title, a table as the view of the run's type has it, failures by kind, warnings and findings;
/// no colour, no newline at the end.
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
        let view = experiments::view(&raw.config);
        paragraphs.push(match view.layout {
            Layout::Sweep => curves(&summary.curves, view.dim),
            Layout::Columns => columns(raw, view.dim),
            Layout::Bars(of) => bars(raw, of, view.dim),
        });
    }
    if !summary.failures_by_kind.is_empty() {
        let kinds = summary.failures_by_kind.iter();
        let kinds: Vec<String> =
            kinds.map(|(kind, count)| format!("{count} {}", kind.words())).collect();
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
                "peaks here: {fp16_tflops:.0} TFLOP/s fp16, {bf16_tflops:.0} bf16, {copy_gbs:.0} \
                 GB/s{datasheet}"
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

fn columns(raw: &Raw, dim: &str) -> String {
    let (backends, by_dim) = raw.by_backend();
    let backends: Vec<&str> = backends.into_iter().collect();
    let mut table = table(&[&[dim], &*backends].concat());
    for (dim, rows) in by_dim {
        let cells =
            rows.into_iter().map(|row| row.map_or_else(|| "-".to_owned(), |row| median(row.p50())));
        table.add_row([dim.to_string()].into_iter().chain(cells));
    }
    table.trim_fmt()
}

fn bars(raw: &Raw, bars: &Bars, dim: &str) -> String {
    let compared = compared::of(raw, bars);
    let variants = bars.variants_of(raw);
    let mut header = if bars.by_curve { vec!["curve"] } else { vec![] };
    header.extend([bars.name.unwrap_or(dim), bars.row.column, bars.ratio.column]);
    header.extend(bars.note.column);
    header.extend(variants.iter().flat_map(|bar| [Some(bar.column), bar.ratio_column]).flatten());
    let mut table = table(&header);
    for row in &raw.measurements {
        let point = row.point();
        let found = compared.get(&*point.case_id);
        let of_base = |value: Option<f64>| value.map(ratio).unwrap_or_default();
        let mut cells = if bars.by_curve { vec![point.curve.clone()] } else { vec![] };
        cells.extend([
            bars.name_of(point),
            median(row.p50()),
            of_base(found.map(|found| found.ratio)),
        ]);
        if bars.note.column.is_some() {
            cells.push((bars.note.of)(point).map(|(value, _)| value).unwrap_or_default());
        }
        for bar in &variants {
            let variant = row.variants().get(bar.variant);
            cells.push(variant.map(|variant| median(variant.p50())).unwrap_or_default());
            if bar.ratio_column.is_some() {
                cells.push(of_base(found.and_then(|f| f.variants.get(bar.variant)).copied()));
            }
        }
        table.add_row(cells);
    }
    match bars.ratio.note {
        None => table.trim_fmt(),
        Some(note) => format!("{}\n{note}", table.trim_fmt()),
    }
}

fn median(p50_ms: Result<f64, ErrorKind>) -> String {
    p50_ms.map_or_else(ErrorKind::words, time)
}

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
