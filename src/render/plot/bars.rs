//! Bars: what padding buys, and what splitting a product costs.

use super::axis::{Axis, Scale, time_unit};
use super::canvas::{
    Area, GRID, HEIGHT, INK, MARGIN, MUTED, PALETTE, WIDTH, bold, caption, common_shape, fitted,
    font, header, text_width, trials,
};
use crate::measure::record::ProtocolKind;
use crate::results::findings::pattern;
use crate::results::raw::{Raw, Row, Variant};
use crate::results::summary::{Summary, curves};
use crate::units::{percent, ratio, three_digits};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Bars side by side, with a name below.
struct Group {
    name: String,
    note: String,
    bars: Vec<Bar>,
}

struct Bar {
    /// Median in ms, or why there is none.
    value: Result<f64, String>,
    color: RGBColor,
    /// Stands above the value.
    badge: Option<String>,
}

/// P1: a panel per operation, a group per padded size.
pub fn padding(area: &Area, raw: &Raw, summary: &Summary) -> Result<()> {
    let [unpadded, padded, on_the_fly] = [MUTED, PALETTE[0], PALETTE[4]];
    let title = format!("P1: What padding buys back — {}", raw.metadata.device_title());
    header(area, &title, &common_shape(raw))?;
    let mut entries = vec![("as it is", unpadded), ("padded, tensors kept padded", padded)];
    if raw.measurements.iter().any(|row| row.variants().contains_key("on_the_fly")) {
        entries.push(("padded on the fly, copies timed too", on_the_fly));
    }
    let top = legend(area, &entries)?;
    foot(area, raw, "2.0×: that many times as fast as without padding.")?;

    let curves = curves(raw);
    for (index, ((_, curve), rows)) in curves.iter().enumerate() {
        let groups: Vec<Group> = rows
            .iter()
            .map(|row| {
                let dim = row.point().dim;
                let found =
                    summary.padding.iter().find(|p| p.curve == *curve && p.physical_dim == dim);
                let gain = found.map(|p| ratio(p.gain));
                let color = if row.point().number("logical_dim") == Some(dim as f64) {
                    unpadded
                } else {
                    padded
                };
                let mut bars = vec![Bar { value: median(row), color, badge: gain }];
                if let Some(variant) = row.variants().get("on_the_fly") {
                    let badge = found.and_then(|p| p.on_the_fly_gain).map(ratio);
                    bars.push(Bar { value: variant_median(variant), color: on_the_fly, badge });
                }
                let memory = row.point().number("memory_overhead_pct").filter(|pct| *pct > 0.0);
                let note = memory.map(|pct| format!("+{} memory", percent(pct)));
                Group { name: dim.to_string(), note: note.unwrap_or_default(), bars }
            })
            .collect();
        draw_panel(area, sheet(area, top, index, curves.len()), curve, &groups)?;
    }
    Ok(())
}

/// HET1: a group per pattern, a bar per way to compute it.
pub fn patterns(area: &Area, raw: &Raw, summary: &Summary) -> Result<()> {
    const WAYS: [(&str, &str); 4] = [
        ("sum_of_parts", "parts timed apart, added up"),
        ("grouped", "one grouped call"),
        ("padded", "padded to the largest"),
        ("concurrent", "parts side by side"),
    ];
    let title = format!("HET1: What uneven head dimensions cost — {}", raw.metadata.device_title());
    header(area, &title, &common_shape(raw))?;
    let is_measured =
        |name: &str| raw.measurements.iter().any(|row| row.variants().contains_key(name));
    let ways: Vec<(&str, &str, RGBColor)> = WAYS
        .iter()
        .zip(&PALETTE[1..])
        .map(|((name, label), color)| (*name, *label, *color))
        .filter(|(name, _, _)| is_measured(name))
        .collect();
    let mut entries = vec![("products one after the other", PALETTE[0])];
    entries.extend(ways.iter().map(|(_, label, color)| (*label, *color)));
    let top = legend(area, &entries)?;
    foot(area, raw, "1.3×: time per useful operation against uniform.")?;

    let groups: Vec<Group> = raw
        .measurements
        .iter()
        .map(|row| {
            let found = summary.heterogeneity.iter().find(|h| h.pattern == pattern(row));
            let mut bars = vec![Bar {
                value: median(row),
                color: PALETTE[0],
                badge: found.map(|h| ratio(h.penalty)),
            }];
            bars.extend(ways.iter().filter_map(|(name, _, color)| {
                let value = variant_median(row.variants().get(*name)?);
                let badge = found.and_then(|h| h.variants.get(*name)).copied().map(ratio);
                Some(Bar { value, color: *color, badge })
            }));
            let calls = row.point().number("num_gemm_calls");
            let note = calls.map_or_else(String::new, |n| {
                if n == 1.0 { "1 product".to_owned() } else { format!("{n} products") }
            });
            Group { name: pattern(row).to_owned(), note, bars }
        })
        .collect();
    draw_panel(area, sheet(area, top, 0, 1), "", &groups)
}

fn median(row: &Row) -> Result<f64, String> {
    match row {
        Row::Measured(row) => Ok(row.timing.p50),
        Row::Failed(row) => Err(row.error_kind.name().replace('_', " ")),
    }
}

fn variant_median(variant: &Variant) -> Result<f64, String> {
    match variant {
        Variant::Measured { timing, .. } => Ok(timing.p50),
        Variant::Failed { error_kind, .. } => Err(error_kind.name().replace('_', " ")),
    }
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

fn legend(area: &Area, entries: &[(&str, RGBColor)]) -> Result<i32> {
    let style = font(28, INK, HPos::Left, VPos::Center);
    let (mut x, mut y) = (MARGIN, 168);
    for (label, color) in entries {
        let width = 42 + text_width(area, label, &style)? + 44;
        if x > MARGIN && x + width > WIDTH as i32 - MARGIN {
            (x, y) = (MARGIN, y + 46);
        }
        area.draw(&Rectangle::new([(x, y - 14), (x + 28, y + 14)], color.filled()))?;
        area.draw_text(label, &style, (x + 42, y))?;
        x += width;
    }
    Ok(y + 34)
}

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
    chart
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
        .y_desc(format!("latency ({unit})"))
        .draw()?;

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
                Err(reason) => {
                    let style = font(size, MUTED, HPos::Left, VPos::Center);
                    let style = style.transform(FontTransform::Rotate270);
                    area.draw_text(reason, &style, (middle, base - 40))?;
                    area.draw(&Cross::new((middle, base - 20), 9, bar.color.stroke_width(5)))?;
                }
            }
        }
    }
    Ok(())
}
