//! Bars: a row and its variants side by side.

use super::axis::{Axis, Scale, time_unit};
use super::canvas::*;
use crate::measure::record::ProtocolKind;
use crate::results::compared;
use crate::results::raw::{CurveKey, Raw, Row, marked};
use crate::results::view::{self, Bars, Plot};
use crate::units::{ratio, three_digits};
use crate::workload::ErrorKind;
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

struct Group {
    name: String,
    note: String,
    bars: Vec<Bar>,
}

struct Bar {
    /// Median in ms, or why there is none.
    value: Result<f64, ErrorKind>,
    color: RGBColor,
    badge: Option<String>,
}

pub fn draw(area: &Area, raw: &Raw, plot: &Plot, bars: &Bars) -> Result<()> {
    let metadata = &raw.metadata;
    let title = format!("{}: {} — {}", metadata.group, plot.title, metadata.device_title());
    header(area, &title, &common_shape(raw))?;
    let variants = bars.variants_of(raw);
    let mut entries: Vec<(&str, RGBColor)> =
        bars.base.iter().map(|legend| (*legend, MUTED)).collect();
    let ways = [&bars.row].into_iter().chain(variants.iter().copied());
    entries.extend(ways.map(|bar| (bar.legend, color(bar))));
    let entries = entries.iter().map(|(label, color)| -> (&str, Key) {
        let key =
            |x, y| Ok(area.draw(&Rectangle::new([(x, y - 14), (x + 28, y + 14)], color.filled()))?);
        (label, Box::new(key))
    });
    let top = legend(area, [42, 44], entries)?;
    foot(area, raw, bars.ratio.caption)?;

    let compared = compared::of(raw, bars);
    let group = |row: &Row| {
        let found = compared.get(&*row.point().case_id);
        let is_base = bars.base.is_some() && (bars.is_base)(row.point());
        let own = Bar {
            value: row.p50(),
            color: if is_base { MUTED } else { color(&bars.row) },
            badge: found.map(|found| ratio(found.ratio)),
        };
        let others = variants.iter().filter_map(|bar| {
            let value = row.variants().get(bar.variant)?.p50();
            let badge = found.and_then(|found| found.variants.get(bar.variant)).copied().map(ratio);
            Some(Bar { value, color: color(bar), badge })
        });
        Group {
            name: bars.name_of(row.point()),
            note: bars.note_of(row.point()).unwrap_or_default(),
            bars: [own].into_iter().chain(others).collect(),
        }
    };
    let panels = match bars.by_curve {
        true => raw.curves().into_iter().map(titled).collect(),
        false => vec![(String::new(), raw.measurements.iter().collect())],
    };
    for (index, (title, rows)) in panels.iter().enumerate() {
        let groups: Vec<Group> = rows.iter().map(|row| group(row)).collect();
        draw_panel(area, sheet(area, top, index, panels.len()), title, &groups)?;
    }
    Ok(())
}

fn titled<'a>(((_, curve), rows): (CurveKey, Vec<&'a Row>)) -> (String, Vec<&'a Row>) {
    (marked(curve, rows.iter().any(|row| row.is_stand_in())), rows)
}

fn color(bar: &view::Bar) -> RGBColor {
    PALETTE[bar.color % PALETTE.len()]
}

fn foot(area: &Area, raw: &Raw, badges: &str) -> Result<()> {
    let protocol = &raw.metadata.protocol;
    let variants = match protocol.kind {
        ProtocolKind::Standard if raw.measurements.iter().any(|row| !row.variants().is_empty()) => {
            format!(" (variants: {})", protocol.of_variants().measure)
        }
        _ => String::new(),
    };
    let text = format!("Bars: median of {}{variants}. {badges}", trials(protocol));
    caption(area, raw, &text)
}

fn sheet<'a>(area: &Area<'a>, top: i32, index: usize, count: usize) -> Area<'a> {
    let width = (WIDTH as i32 - MARGIN) / count.max(1) as i32;
    let corner = (20 + width * index as i32, top);
    area.clone().shrink(corner, (width as u32, (HEIGHT as i32 - 80 - top) as u32))
}

/// The vertical axis of bars, and lines at its numbers.
pub fn draw_height(chart: &mut Chart, what: String) -> Result<()> {
    Ok(chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(MUTED.stroke_width(2))
        .x_labels(0)
        .y_labels(40)
        .y_label_formatter(&|y| Scale::Linear.label(*y))
        .label_style(font(26, INK, HPos::Center, VPos::Center))
        .axis_desc_style(font(28, INK, HPos::Center, VPos::Center))
        .y_desc(what)
        .draw()?)
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

fn draw_panel(area: &Area, sheet: Area, title: &str, groups: &[Group]) -> Result<()> {
    let values =
        groups.iter().flat_map(|group| &group.bars).filter_map(|bar| bar.value.as_ref().ok());
    let max = values.copied().fold(0.0, f64::max);
    let (factor, unit) = time_unit(max);
    // Headroom for a value and a badge above the highest bar.
    let high = if max > 0.0 { max * factor * 1.18 } else { 1.0 };
    let mut builder = ChartBuilder::on(&sheet);
    builder.margin(16).x_label_area_size(96).y_label_area_size(120);
    if !title.is_empty() {
        let style = bold(26, INK, HPos::Left, VPos::Top);
        builder.caption(fitted(area, title, &style, sheet.dim_in_pixel().0 as i32 - 60)?, style);
    }
    let mut chart = builder.build_cartesian_2d(
        Axis { low: 0.0, high: groups.len() as f64, ticks: Vec::new() },
        Axis { low: 0.0, high, ticks: Scale::Linear.ticks(0.0, high) },
    )?;
    draw_height(&mut chart, format!("latency ({unit})"))?;

    // As wide in each group, so that a lone bar does not look like more.
    let bars = groups.iter().map(|group| group.bars.len()).max().unwrap_or(1) as i32;
    let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
    for (index, group) in groups.iter().enumerate() {
        let (left, base) = at(index as f64, 0.0);
        let (right, _) = at(index as f64 + 1.0, 0.0);
        let center = (left + right) / 2;
        area.draw_text(&group.name, &font(30, INK, HPos::Center, VPos::Top), (center, base + 16))?;
        let note = font(20, MUTED, HPos::Center, VPos::Top);
        let text = fitted(area, &group.note, &note, right - left)?;
        area.draw_text(&text, &note, (center, base + 54))?;

        let width = ((right - left) * 84 / 100 / bars.max(1)).min(150);
        let first = center - width * group.bars.len() as i32 / 2;
        for (position, bar) in group.bars.iter().enumerate() {
            let left = first + width * position as i32;
            let middle = left + width / 2;
            // Labels as large as fit between their neighbours'.
            let size = if width >= 110 { 26 } else { 24 };
            match &bar.value {
                Ok(ms) => {
                    let (_, top) = at(0.0, ms * factor);
                    area.draw(&Rectangle::new(
                        [(left + 3, top), (left + width - 3, base)],
                        bar.color.filled(),
                    ))?;
                    let value = font(size, INK, HPos::Center, VPos::Bottom);
                    area.draw_text(&three_digits(ms * factor), &value, (middle, top - 4))?;
                    if let Some(badge) = &bar.badge {
                        let style = bold(size, INK, HPos::Center, VPos::Bottom);
                        area.draw_text(badge, &style, (middle, top - 10 - size as i32))?;
                    }
                }
                Err(kind) => {
                    let style = font(size, MUTED, HPos::Left, VPos::Center);
                    let style = style.transform(FontTransform::Rotate270);
                    area.draw_text(&kind.words(), &style, (middle, base - 40))?;
                    area.draw(&Cross::new((middle, base - 20), 9, bar.color.stroke_width(5)))?;
                }
            }
        }
    }
    Ok(())
}
