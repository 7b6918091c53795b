//! The table that closes a run.

use super::model_table;
use crate::experiments;
use crate::results::raw::{Raw, Row, marked};
use crate::results::summary::{Curve, DimTime, Summary};
use crate::results::view::{Bars, Layout};
use crate::results::{checks, compared};
use crate::terminal::text::{paragraph, plain};
use crate::units::{ratio, time};
use crate::workload::{ErrorKind, Precision};
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets,
};

/// Spaces before the content of a cell, beside the one that separates columns.
const PADDING: usize = 1;

const FINDINGS: usize = 3;

/// A title, a table as the view of the run's type has it, failures by kind, warnings and findings,
/// no wider than `width` columns; no colour, no newline at the end.
pub fn of(raw: &Raw, summary: &Summary, width: usize) -> String {
    let wrapped = |bullet: &str, text: &str| wrapped(bullet, text, width);
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
            Layout::Sweep => curves(&summary.curves, view.dim, width),
            Layout::Columns => columns(raw, view.dim, width),
            Layout::Bars(of) => bars(raw, of, view.dim, width),
            Layout::Model => model_table::of(summary, width),
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

fn curves(curves: &[Curve], dim: &str, width: usize) -> String {
    let (fastest, slowest) = (format!("fastest {dim}"), format!("slowest {dim}"));
    let header = ["curve", "points", &fastest, &slowest, "worst vs multiple of 8", "cliffs"];
    let at = |point: Option<DimTime>| {
        point.map_or_else(|| "-".to_owned(), |p| format!("{}: {}", p.dim, time(p.p50_ms)))
    };
    let rows = curves.iter().map(|curve| {
        let worst = curve.worst_penalty.map_or_else(
            || "-".to_owned(),
            |p| format!("{}: {} of {}", p.dim, ratio(p.ratio), p.next_dim),
        );
        vec![
            curve.marked(),
            curve.points.to_string(),
            at(curve.fastest),
            at(curve.slowest),
            worst,
            curve.cliffs.len().to_string(),
        ]
    });
    table(1, &with_header(header, rows), width)
}

/// Backends side by side, or one below the other where there are too many.
fn columns(raw: &Raw, dim: &str, width: usize) -> String {
    let (backends, by_dim) = raw.by_backend();
    let stand_ins = raw.stand_ins();
    let heads = backends.into_iter().map(|name| marked(name, stand_ins.contains(name)));
    let mut rows = vec![[dim.to_owned()].into_iter().chain(heads).collect::<Vec<_>>()];
    for (dim, cells) in by_dim {
        let median = |row: &Row| median(row.p50());
        let cells = cells.into_iter().map(|row| row.map_or_else(|| "-".to_owned(), median));
        rows.push([dim.to_string()].into_iter().chain(cells).collect());
    }
    if total(&narrowest(1, &rows, width)) > width {
        rows = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].clone()).collect())
            .collect();
    }
    table(1, &rows, width)
}

fn bars(raw: &Raw, bars: &Bars, dim: &str, width: usize) -> String {
    let compared = compared::of(raw, bars);
    let variants = bars.variants_of(raw);
    let mut header = if bars.by_curve { vec!["curve"] } else { vec![] };
    header.extend([bars.name.unwrap_or(dim), bars.row.column, bars.ratio.column]);
    header.extend(bars.note.column);
    header.extend(variants.iter().flat_map(|bar| [Some(bar.column), bar.ratio_column]).flatten());
    let mut rows = Vec::new();
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
        rows.push(cells);
    }
    let table = table(1 + usize::from(bars.by_curve), &with_header(header, rows), width);
    match bars.ratio.note {
        None => table,
        Some(note) => format!("{table}\n{}", wrapped("", note, width)),
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

/// The rows of a table, its header first.
pub(crate) fn with_header<'a>(
    header: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = impl Into<Vec<String>>>,
) -> Vec<Vec<String>> {
    let header = header.into_iter().map(str::to_owned).collect();
    [header].into_iter().chain(rows.into_iter().map(Into::into)).collect()
}

/// A table of `rows`, the first of them the header, framed sparely, numbers to the right. The first
/// `keys` columns say what a row is about. Where it would be wider than `width` it becomes several,
/// each with those columns, so that no word is broken.
pub(crate) fn table(keys: usize, rows: &[Vec<String>], width: usize) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let widths = narrowest(keys, &rows, width);
    let of = |columns: &[usize]| columns.iter().map(|&column| widths[column]).collect::<Vec<_>>();
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for column in keys..widths.len() {
        match blocks.last_mut() {
            Some(block) if total(&of(&[&block[..], &[column]].concat())) <= width => {
                block.push(column);
            }
            _ => blocks.push((0..keys).chain([column]).collect()),
        }
    }
    let text = |block: &Vec<usize>| {
        let cells = |row: &Vec<String>| block.iter().map(|&at| row[at].clone()).collect::<Vec<_>>();
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width as u16)
            .set_header(cells(&rows[0]))
            .add_rows(rows[1..].iter().map(cells));
        RULES.iter().for_each(|&line| _ = table.set_style(line, '─'));
        for (column, &at) in table.column_iter_mut().zip(block) {
            column.set_padding((PADDING as u16, 0));
            let least = Width::Fixed(widths[at] as u16);
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
            let side = if at == 0 { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
        }
        table.trim_fmt()
    };
    blocks.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// The width of each column at which no word of the header or of a key is broken, and no other cell
/// at all; unless the keys took more than two thirds of a line.
fn narrowest(keys: usize, rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let length = |word: &str| console::measure_text_width(word);
    let least = |row: usize, column: usize| match &rows[row][column] {
        words if row == 0 || column < keys => words.split(' ').map(length).max().unwrap_or(0),
        cell => length(cell),
    };
    let column = |at: usize| {
        // With the space that divides it from the next.
        let most = if at < keys { width * 2 / 3 / keys } else { width / 3 } - 1;
        PADDING + (0..rows.len()).map(|row| least(row, at)).max().unwrap_or(0).min(most - PADDING)
    };
    (0..rows[0].len()).map(column).collect()
}

/// The width of a line: columns are divided by a space.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len()
}

/// A paragraph no wider than `width`, its later lines indented below `bullet`.
pub(crate) fn wrapped(bullet: &str, text: &str, width: usize) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width as u16)
        .add_row([bullet.trim_end(), &paragraph(text)]);
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
        let rows = [words(&format!("head_dim{dims}")), row("NS_FLASH"), row("FLASH (x)")];
        for (width, tables) in [(60, 4), (80, 3), (100, 2)] {
            let text = table(1, &rows, width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            let count = |word: &str| text.split_whitespace().filter(|known| *known == word).count();
            let counts = [count("head_dim"), count("NS_FLASH"), count("ms")];
            assert_eq!(counts, [tables, tables, 40], "{text}");
            assert!((1000..1020).all(|dim| count(&dim.to_string()) == 1), "{text}");
        }
    }

    #[test]
    fn nothing_from_outside_makes_a_table_wider_or_commands_the_terminal() {
        let name = format!("\u{1b}[2J\n::error::{}", "x".repeat(100_000));
        let rows = [vec!["name".to_owned(), "median".to_owned()], vec![name.clone(), name.clone()]];
        for text in [table(1, &rows, 60), wrapped("- ", &name, 60)] {
            assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
            assert!(text.len() < 3000 && !text.contains('\u{1b}'), "{text}");
        }
    }
}
