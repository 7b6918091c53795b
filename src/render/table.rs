//! The table that closes a run.

use super::model_table;
use crate::experiments;
use crate::results::raw::{Raw, Row, marked};
use crate::results::summary::{Curve, DimTime, Summary};
use crate::results::view::{Bars, Layout};
use crate::results::{checks, compared};
use crate::units::{ratio, time};
use crate::workload::{ErrorKind, Precision};
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets,
};

pub const WIDTH: u16 = 100;

/// That of a terminal that nobody has widened.
const NARROW: usize = 80;

/// Spaces before the content of a cell, beside the one that separates columns.
const PADDING: usize = 1;

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
            Layout::Model => model_table::of(summary),
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
        let each = Precision::ALL.into_iter().filter_map(|precision| {
            Some(format!("{:.0} {}", peaks.tflops(precision)?, precision.name()))
        });
        let each = each.collect::<Vec<_>>().join(", ").replacen(' ', " TFLOP/s ", 1);
        wrapped("", &format!("peaks here: {each}, {:.0} GB/s{datasheet}", peaks.copy_gbs))
    }));
    paragraphs.push(wrapped("", &checks::line(&summary.checks)));
    paragraphs.extend(summary.warnings.iter().map(|warning| wrapped("! ", warning)));
    // Last, where the eye is when a night's run has scrolled by.
    let findings = FINDINGS + usize::from(!summary.stand_ins.is_empty());
    paragraphs.extend(summary.findings.iter().take(findings).map(|finding| wrapped("- ", finding)));
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
            curve.marked(),
            curve.points.to_string(),
            at(curve.fastest),
            at(curve.slowest),
            worst,
            curve.cliffs.len().to_string(),
        ]);
    }
    table.trim_fmt()
}

/// Backends side by side, or one below the other where there are too many.
fn columns(raw: &Raw, dim: &str) -> String {
    let (backends, by_dim) = raw.by_backend();
    let stand_ins = raw.stand_ins();
    let heads = backends.into_iter().map(|name| marked(name, stand_ins.contains(name)));
    let mut rows = vec![[dim.to_owned()].into_iter().chain(heads).collect::<Vec<_>>()];
    for (dim, cells) in by_dim {
        let median = |row: &Row| median(row.p50());
        let cells = cells.into_iter().map(|row| row.map_or_else(|| "-".to_owned(), median));
        rows.push([dim.to_string()].into_iter().chain(cells).collect());
    }
    let widths = narrowest(&rows);
    if widths.iter().sum::<usize>() + widths.len() > NARROW {
        rows = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].clone()).collect())
            .collect();
    }
    blocks(&rows)
}

/// The width of each column at which no word of the first row or the first column is broken, and no
/// other cell at all.
fn narrowest(rows: &[Vec<String>]) -> Vec<usize> {
    let length = |word: &str| word.chars().count();
    let least = |(row, column): (usize, usize)| match &rows[row][column] {
        header if row == 0 || column == 0 => header.split(' ').map(length).max(),
        cell => Some(length(cell)),
    };
    let column = |at: usize| (0..rows.len()).filter_map(|row| least((row, at))).max().unwrap_or(0);
    (0..rows[0].len()).map(|at| PADDING + column(at)).collect()
}

/// Rows, the first of them the header, no wider than [`NARROW`]: in several tables, each with the
/// first column, where one would be wider.
fn blocks(rows: &[Vec<String>]) -> String {
    let widths = narrowest(rows);
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for column in 1..widths.len() {
        let fits = |block: &Vec<usize>| {
            let used: usize = block.iter().map(|&column| widths[column]).sum();
            widths[0] + used + widths[column] + block.len() < NARROW
        };
        match blocks.last_mut() {
            Some(block) if fits(block) => block.push(column),
            _ => blocks.push(vec![column]),
        }
    }
    let block = |columns: &Vec<usize>| {
        let columns: Vec<usize> = [0].into_iter().chain(columns.iter().copied()).collect();
        let cells = |row: &Vec<String>| -> Vec<String> {
            columns.iter().map(|&column| row[column].clone()).collect()
        };
        let header = cells(&rows[0]);
        let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
        table.set_width(NARROW as u16);
        for (column, &of) in table.column_iter_mut().zip(&columns) {
            column.set_padding((PADDING as u16, 0));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(widths[of] as u16)));
        }
        table.add_rows(rows[1..].iter().map(cells));
        table.trim_fmt()
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
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
        let curve = marked(&point.curve, row.is_stand_in());
        let mut cells = if bars.by_curve { vec![curve] } else { vec![] };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_becomes_several() {
        let words = |words: &str| words.split(',').map(str::to_owned).collect::<Vec<_>>();
        let dims = (0..20).map(|dim| format!(",{}", 1000 + dim)).collect::<String>();
        let row = |name: &str| words(&(name.to_owned() + &",99.9 ms".repeat(20)));
        let text = blocks(&[words(&format!("head_dim{dims}")), row("NS_FLASH"), row("FLASH (x)")]);
        assert!(text.lines().all(|line| line.chars().count() <= NARROW), "{text}");
        let count = |word: &str| text.split_whitespace().filter(|known| *known == word).count();
        assert_eq!([count("head_dim"), count("NS_FLASH"), count("ms")], [3, 3, 40], "{text}");
        assert!((1000..1020).all(|dim| count(&dim.to_string()) == 1), "{text}");
    }
}
