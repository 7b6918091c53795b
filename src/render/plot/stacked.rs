//! Plans of a model as bars, stacked by kind of module: a panel for each number of tokens.

use super::axis::{Axis, Scale, time_unit};
use super::bars::draw_height;
use super::canvas::*;
use crate::render::model_table;
use crate::results::model::{ModelReport, StepTimes};
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use crate::results::view::Plot;
use crate::units::{ratio, three_digits};
use anyhow::Result;
use indexmap::IndexSet;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Above the highest bar there are two lines of text.
const HEADROOM: f64 = 1.3;
/// More beside each other leave no room for the names of plans.
const MOST_COLUMNS: usize = 4;

pub fn draw(area: &Area, raw: &Raw, summary: &Summary, plot: &Plot) -> Result<()> {
    let Some(model) = &summary.model else { return nothing(area, raw) };
    let metadata = &raw.metadata;
    let title = format!("{}: {} — {}", metadata.group, plot.title, metadata.device_title());
    let subtitle = format!("{} · {} · tensor parallel {}", model.model, model.dtype, model.tp);
    header(area, &title, &subtitle)?;
    let plans = model.steps.iter().flat_map(|step| &step.plans);
    let kinds: IndexSet<&str> =
        plans.flat_map(|plan| plan.by_kind_ms.keys().map(String::as_str)).collect();
    let entries = kinds.iter().enumerate().map(|(at, kind)| -> (&str, Key) {
        let key = move |x, y| {
            let shape = [(x, y - 14), (x + 28, y + 14)];
            Ok(area.draw(&Rectangle::new(shape, color(at).filled()))?)
        };
        (kind, Box::new(key))
    });
    let top = legend(area, [42, 44], entries)?;
    caption(
        area,
        raw,
        "Sum of the medians of all layers' operations and lm_head. The factor: as fast as dense.",
    )?;
    let columns = model.steps.len().clamp(1, MOST_COLUMNS);
    let rows = model.steps.len().div_ceil(columns).max(1);
    let width = (WIDTH as i32 - MARGIN) / columns as i32;
    let height = (HEIGHT as i32 - 80 - top) / rows as i32;
    for (index, step) in model.steps.iter().enumerate() {
        let (column, row) = ((index % columns) as i32, (index / columns) as i32);
        let corner = (20 + width * column, top + height * row);
        let sheet = area.clone().shrink(corner, (width as u32, height as u32));
        panel(area, sheet, model, step, &kinds)?;
    }
    Ok(())
}

fn color(at: usize) -> RGBColor {
    PALETTE.get(at).copied().unwrap_or(MUTED)
}

fn panel(
    area: &Area,
    sheet: Area,
    model: &ModelReport,
    step: &StepTimes,
    kinds: &IndexSet<&str>,
) -> Result<()> {
    let most = step.plans.iter().filter_map(|plan| plan.total_ms).fold(0.0, f64::max);
    let (factor, unit) = time_unit(most);
    let high = if most > 0.0 { most * factor * HEADROOM } else { 1.0 };
    let mut builder = ChartBuilder::on(&sheet);
    builder.margin(16).x_label_area_size(96).y_label_area_size(110);
    let style = bold(26, INK, HPos::Left, VPos::Top);
    let room = sheet.dim_in_pixel().0 as i32 - 60;
    builder.caption(fitted(area, &model_table::title(model, step), &style, room)?, style);
    let mut chart = builder.build_cartesian_2d(
        Axis { low: 0.0, high: step.plans.len() as f64, ticks: Vec::new() },
        Axis { low: 0.0, high, ticks: Scale::Linear.ticks(0.0, high) },
    )?;
    draw_height(&mut chart, format!("time ({unit})"))?;
    let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
    for (index, plan) in step.plans.iter().enumerate() {
        let (left, base) = at(index as f64 + 0.14, 0.0);
        let (right, _) = at(index as f64 + 0.86, 0.0);
        let center = (left + right) / 2;
        let name = font(24, INK, HPos::Center, VPos::Top);
        for (line, word) in plan.plan.split('_').enumerate() {
            area.draw_text(word, &name, (center, base + 14 + 28 * line as i32))?;
        }
        let Some(total) = plan.total_ms else {
            let style = font(24, MUTED, HPos::Center, VPos::Bottom);
            area.draw_text("no time", &style, (center, base - 12))?;
            continue;
        };
        let mut below = 0.0;
        for (kind, ms) in &plan.by_kind_ms {
            let (_, bottom) = at(0.0, below * factor);
            below += ms;
            let (_, top) = at(0.0, below * factor);
            let color = color(kinds.get_index_of(kind.as_str()).unwrap_or(0));
            area.draw(&Rectangle::new([(left, top), (right, bottom)], color.filled()))?;
        }
        let (_, top) = at(0.0, total * factor);
        let value = font(24, INK, HPos::Center, VPos::Bottom);
        area.draw_text(&three_digits(total * factor), &value, (center, top - 4))?;
        if let Some(speedup) = plan.speedup_over_dense {
            let style = bold(24, INK, HPos::Center, VPos::Bottom);
            area.draw_text(&ratio(speedup), &style, (center, top - 34))?;
        }
    }
    Ok(())
}
